# The runtime wasm: Wasmtime's headers and library, and the guest program, compiled by clang for
# wasm32. TARS_WASM: AUTO takes them when they are there, ON requires them, OFF builds without.
set(TARS_WASM AUTO CACHE STRING "build the runtime wasm: AUTO, ON or OFF")
set(TARS_HAS_WASM FALSE)
set(TARS_GUEST_PROGRAM)

function(tars_wasm_missing WHAT)
  if(TARS_WASM STREQUAL ON)
    message(FATAL_ERROR "TARS_WASM=ON, but ${WHAT}")
  endif()
  message(STATUS "Runtime wasm is left out: ${WHAT}")
endfunction()

if(NOT TARS_WASM STREQUAL OFF)
  find_program(TARS_PYTHON python3)
  execute_process(COMMAND ${TARS_PYTHON} ${CMAKE_SOURCE_DIR}/tools/fetch_wasmtime.py --print
                  OUTPUT_VARIABLE TARS_WASMTIME_DIR OUTPUT_STRIP_TRAILING_WHITESPACE
                  ERROR_QUIET RESULT_VARIABLE result)
  if(result EQUAL 0)
    set(TARS_HAS_WASM TRUE)
  else()
    tars_wasm_missing("Wasmtime is not there (tools/fetch_wasmtime.py fetches it)")
  endif()
endif()

# The guest: every freestanding source as an object for wasm32, linked into one module.
function(tars_guest_program COMPILER)
  set(flags --target=wasm32-wasi -std=c17 -O2 -DNDEBUG -msimd128 -mno-bulk-memory
      -mno-reference-types -ffp-contract=off -fno-math-errno -fvisibility=hidden
      -I${CMAKE_SOURCE_DIR}/include -I${CMAKE_SOURCE_DIR}/src
      -ffile-prefix-map=${CMAKE_SOURCE_DIR}=. -Wall -Wextra -Werror)
  set(objects)
  foreach(dir src/base src/engine src/engine/kernels src/engine/tokenizer src/engine/template
              src/engine/arch src/guest)
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${dir}/*.c)
    foreach(file ${found})
      tars_isa_of(${file} family own)
      if(NOT family STREQUAL any AND NOT family STREQUAL wasm)
        continue()
      endif()
      file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR} ${file})
      set(object ${CMAKE_BINARY_DIR}/guest/${name}.o)
      get_filename_component(folder ${object} DIRECTORY)
      file(MAKE_DIRECTORY ${folder})
      add_custom_command(OUTPUT ${object}
        COMMAND ${COMPILER} ${flags} ${own} -MD -MF ${object}.d -c ${file} -o ${object}
        DEPENDS ${file} DEPFILE ${object}.d COMMENT "Building guest object ${name}" VERBATIM)
      list(APPEND objects ${object})
    endforeach()
  endforeach()
  set(program ${CMAKE_BINARY_DIR}/tars-guest.wasm)
  add_custom_command(OUTPUT ${program}
    COMMAND ${COMPILER} --target=wasm32-wasi -nostartfiles -Wl,--no-entry -Wl,--gc-sections
            -Wl,--strip-all -Wl,-z,stack-size=262144 -Wl,--stack-first ${objects} -o ${program}
    DEPENDS ${objects} COMMENT "Linking the guest program" VERBATIM)
  add_custom_target(tars_guest_program DEPENDS ${program})
endfunction()

if(TARS_HAS_WASM)
  find_program(TARS_WASM_COMPILER clang-19)
  find_program(TARS_WASM_LINKER wasm-ld-19)
  if(TARS_WASM_COMPILER AND TARS_WASM_LINKER AND EXISTS /usr/include/wasm32-wasi/string.h)
    tars_guest_program(${TARS_WASM_COMPILER})
    set(TARS_GUEST_PROGRAM ${CMAKE_BINARY_DIR}/tars-guest.wasm)
  else()
    tars_wasm_missing("its guest needs clang-19, lld-19, libclang-rt-19-dev-wasm32 and wasi-libc")
    set(TARS_HAS_WASM FALSE)
  endif()
endif()

# Beside the program, under a name of our own, so that no other Wasmtime is taken for it.
if(TARS_HAS_WASM)
  set(TARS_WASMTIME_LIBRARY ${CMAKE_BINARY_DIR}/libtars-wasmtime.so)
  add_custom_command(OUTPUT ${TARS_WASMTIME_LIBRARY}
    COMMAND ${CMAKE_COMMAND} -E copy ${TARS_WASMTIME_DIR}/lib/libwasmtime.so ${TARS_WASMTIME_LIBRARY}
    # test programs look beside themselves
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/tests
    COMMAND ${CMAKE_COMMAND} -E create_symlink ${TARS_WASMTIME_LIBRARY}
            ${CMAKE_BINARY_DIR}/tests/libtars-wasmtime.so
    DEPENDS ${TARS_WASMTIME_DIR}/lib/libwasmtime.so VERBATIM)
  add_custom_target(tars_wasmtime_library ALL DEPENDS ${TARS_WASMTIME_LIBRARY})
endif()
