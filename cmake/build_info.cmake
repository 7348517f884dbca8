# Script: writes OUTPUT from config.h.in. Needs SOURCE_DIR, VERSION, COMPILER, SYSTEM, BUILD_TYPE.
# Nothing of the clock or the user goes in: the same commit gives the same bytes.
set(COMMIT unknown)
if(EXISTS ${SOURCE_DIR}/.git)
  execute_process(COMMAND git -C ${SOURCE_DIR} rev-parse --short=12 HEAD
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
                  RESULT_VARIABLE result)
  if(result EQUAL 0)
    set(COMMIT ${commit})
  endif()
endif()
configure_file(${SOURCE_DIR}/cmake/config.h.in ${OUTPUT} @ONLY)
