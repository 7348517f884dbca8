# Every fuzz/fuzz_NAME.c is a libFuzzer program of the same name linked with all parts. The objects
# themselves are instrumented through the preset's flags.
if(NOT CMAKE_C_COMPILER_ID STREQUAL Clang)
  message(FATAL_ERROR "TARS_FUZZ needs clang (found ${CMAKE_C_COMPILER_ID}); use the preset 'fuzz'")
endif()
add_custom_target(fuzzers)
file(GLOB fuzz_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/fuzz_*.c)
set(fuzz_names)
foreach(file ${fuzz_files})
  get_filename_component(target ${file} NAME_WE)
  add_executable(${target} ${file})
  target_link_libraries(${target} PRIVATE ${TARS_PARTS} ${TARS_LIBRARIES} m)
  target_compile_definitions(${target} PRIVATE FUZZ_DATA_DIR="${CMAKE_SOURCE_DIR}/tests/data")
  target_compile_options(${target} PRIVATE -Wno-missing-prototypes) # LLVMFuzzerTestOneInput
  target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzzers ${target})
  string(APPEND fuzz_names "${target}\n")
endforeach()
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/fuzz-programs.txt CONTENT "${fuzz_names}")
