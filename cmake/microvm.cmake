# The guest of the runtime microvm: the engine as a static program for x86-64 Linux, by the compiler
# of everything else. TARS_MACHINE_GUEST: its file, empty when it cannot be built.
set(TARS_MACHINE_GUEST)

function(tars_machine_guest)
  set(flags -std=c17 -O2 -DNDEBUG -fno-pie ${TARS_ARITHMETIC_FLAGS} -fvisibility=hidden
      -fstack-protector-strong -ffunction-sections -fdata-sections
      -I${CMAKE_SOURCE_DIR}/include -I${CMAKE_SOURCE_DIR}/src
      -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -Wall -Wextra -Werror)
  set(files src/platform/cpu.c src/platform/float_mode.c src/runtime/native/features.c
      src/runtime/native/pace.c)
  foreach(dir src/base src/engine src/engine/kernels src/engine/tokenizer src/engine/template
              src/engine/arch src/guest src/machine)
    file(GLOB found RELATIVE ${CMAKE_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${dir}/*.c)
    list(APPEND files ${found})
  endforeach()
  set(objects)
  foreach(name ${files})
    tars_isa_of(${name} family own)
    if(NOT family STREQUAL any AND NOT family STREQUAL x86)
      continue()
    endif()
    set(object ${CMAKE_BINARY_DIR}/machine/${name}.o)
    get_filename_component(folder ${object} DIRECTORY)
    file(MAKE_DIRECTORY ${folder})
    add_custom_command(OUTPUT ${object}
      COMMAND ${CMAKE_C_COMPILER} ${flags} ${own} -MD -MF ${object}.d -c ${CMAKE_SOURCE_DIR}/${name}
              -o ${object}
      DEPENDS ${CMAKE_SOURCE_DIR}/${name} DEPFILE ${object}.d
      COMMENT "Building machine guest object ${name}" VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  # Two parts, each from a boundary of 2 MiB: what is read or run, and what is written.
  add_custom_command(OUTPUT ${TARS_MACHINE_GUEST}
    COMMAND ${CMAKE_C_COMPILER} -static -no-pie -Wl,--gc-sections -Wl,--strip-all
            -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-z,max-page-size=0x200000
            -Wl,-z,common-page-size=0x200000 ${objects} -o ${TARS_MACHINE_GUEST}
    DEPENDS ${objects} COMMENT "Linking the machine guest" VERBATIM)
  add_custom_target(tars_machine_guest DEPENDS ${TARS_MACHINE_GUEST})
endfunction()

# Stands in for the engine in tests: tests/runtime/hostile_engine.h.
function(tars_hostile_engine)
  set(hostile ${CMAKE_BINARY_DIR}/tests/hostile-engine.elf)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_custom_command(OUTPUT ${hostile}
    COMMAND ${CMAKE_C_COMPILER} -std=gnu17 -O1 -fno-pie -static -Wall -Wextra -Werror
            -I${CMAKE_SOURCE_DIR}/tests -I${CMAKE_SOURCE_DIR}/src -I${CMAKE_SOURCE_DIR}/include
            -Wl,--strip-all -Wl,-z,noseparate-code -Wl,-z,norelro -Wl,-z,max-page-size=0x200000
            -Wl,-z,common-page-size=0x200000 -MD -MF ${hostile}.d
            ${CMAKE_SOURCE_DIR}/tests/runtime/hostile_engine.c -o ${hostile}
    DEPENDS ${CMAKE_SOURCE_DIR}/tests/runtime/hostile_engine.c DEPFILE ${hostile}.d
    COMMENT "Building the hostile engine" VERBATIM)
  add_custom_target(tars_hostile_engine DEPENDS ${hostile})
endfunction()

if(TARS_FAMILY STREQUAL x86 AND CMAKE_SYSTEM_NAME STREQUAL Linux)
  set(TARS_MACHINE_GUEST ${CMAKE_BINARY_DIR}/tars-guest.elf)
  tars_machine_guest()
endif()
