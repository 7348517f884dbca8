# What needs an operating system: the library libtars and the program tars. A part whose folder is
# still empty is left out. Sets TARS_LIBRARIES, what a program using the parts links with.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
set(TARS_PKG_CONFIG_NAMES libcurl libcrypto libarchive sqlite3 libedit libfyaml)
set(TARS_LIBRARIES Threads::Threads ${CMAKE_DL_LIBS})
set(TARS_PKG_CONFIG_FOUND)
set(missing)
foreach(name ${TARS_PKG_CONFIG_NAMES})
  pkg_check_modules(TARS_${name} QUIET IMPORTED_TARGET ${name})
  if(TARS_${name}_FOUND)
    list(APPEND TARS_LIBRARIES PkgConfig::TARS_${name})
    list(APPEND TARS_PKG_CONFIG_FOUND ${name})
  else()
    list(APPEND missing ${name})
  endif()
endforeach()
if(missing)
  list(JOIN missing " " missing)
  message(FATAL_ERROR "Libraries not found by pkg-config: ${missing}. 'make packages' installs them"
                      " on Debian and Ubuntu; -DTARS_HOST=OFF builds only base, engine and platform.")
endif()

if(CMAKE_SYSTEM_NAME STREQUAL Linux)
  # Only libraries that are used are loaded at start; relocated data is read-only after it.
  add_link_options(LINKER:--as-needed LINKER:-z,relro LINKER:-z,now)
endif()

set(before ${TARS_PARTS})
tars_part(guest DIRS src/guest)
include(GNUInstallDirs)
include(cmake/wasm.cmake)
if(TARS_HAS_WASM)
  tars_part(runtime DIRS src/runtime src/runtime/native src/runtime/process src/runtime/cuda src/runtime/module src/runtime/wasi src/runtime/wasm src/runtime/microvm)
  target_include_directories(tars_runtime SYSTEM PRIVATE ${TARS_WASMTIME_DIR}/include)
  set_source_files_properties(src/runtime/wasm/guest_program.c PROPERTIES
    COMPILE_DEFINITIONS "GUEST_PROGRAM_FILE=\"${TARS_GUEST_PROGRAM}\""
    OBJECT_DEPENDS ${TARS_GUEST_PROGRAM})
  set_source_files_properties(src/runtime/wasm/library.c PROPERTIES
    COMPILE_DEFINITIONS "TARS_LIBRARY_FOLDER=\"../${CMAKE_INSTALL_LIBDIR}/\"")
  add_dependencies(tars_runtime tars_guest_program tars_wasmtime_library)
else()
  tars_part(runtime DIRS src/runtime src/runtime/native src/runtime/process src/runtime/cuda src/runtime/module src/runtime/wasi src/runtime/absent src/runtime/microvm)
endif()
include(cmake/microvm.cmake)
if(TARS_MACHINE_GUEST)
  set_source_files_properties(src/runtime/microvm/engine_program.c PROPERTIES
    COMPILE_DEFINITIONS "GUEST_PROGRAM_FILE=\"${TARS_MACHINE_GUEST}\""
    OBJECT_DEPENDS ${TARS_MACHINE_GUEST})
  add_dependencies(tars_runtime tars_machine_guest)
endif()
tars_part(router DIRS src/router)
tars_part(transform DIRS src/transform)
tars_part(store DIRS src/store)
tars_part(trace DIRS src/trace)
tars_part(config DIRS src/config)
tars_part(api DIRS src/api)
set(host_parts ${TARS_PARTS})
list(REMOVE_ITEM host_parts ${before})

# build_info.h: version, commit, compiler. Written at every build, touched only when it changes.
set(TARS_GENERATED_DIR ${CMAKE_BINARY_DIR}/generated)
add_custom_target(tars_build_info
  BYPRODUCTS ${TARS_GENERATED_DIR}/build_info.h
  COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${CMAKE_SOURCE_DIR} -DVERSION=${PROJECT_VERSION}
          "-DCOMPILER=${CMAKE_C_COMPILER_ID} ${CMAKE_C_COMPILER_VERSION}"
          "-DSYSTEM=${CMAKE_SYSTEM_NAME} ${CMAKE_SYSTEM_PROCESSOR}"
          "-DBUILD_TYPE=${CMAKE_BUILD_TYPE}" -DOUTPUT=${TARS_GENERATED_DIR}/build_info.h
          -P ${CMAKE_SOURCE_DIR}/cmake/build_info.cmake
  COMMENT "" VERBATIM)

function(tars_host_target TARGET)
  target_include_directories(${TARGET} PRIVATE ${TARS_GENERATED_DIR})
  target_link_libraries(${TARGET} PRIVATE ${TARS_LIBRARIES})
  target_compile_options(${TARGET} PRIVATE -fstack-protector-strong)
  add_dependencies(${TARGET} tars_build_info)
endfunction()
foreach(part ${host_parts})
  tars_host_target(${part})
endforeach()

add_library(tars_static STATIC)
add_library(tars_shared SHARED)
foreach(library tars_static tars_shared)
  foreach(part ${TARS_PARTS})
    target_sources(${library} PRIVATE $<TARGET_OBJECTS:${part}>)
  endforeach()
  target_link_libraries(${library} PRIVATE ${TARS_LIBRARIES})
  set_target_properties(${library} PROPERTIES OUTPUT_NAME tars LINKER_LANGUAGE C)
endforeach()
if(CMAKE_SYSTEM_NAME STREQUAL Linux)
  # A thread of the runtime wasm runs as long as the process: the library must not be unloaded.
  target_link_options(tars_shared PRIVATE LINKER:-z,nodelete)
endif()
set_target_properties(tars_shared PROPERTIES VERSION ${PROJECT_VERSION}
                                             SOVERSION ${PROJECT_VERSION_MAJOR})

file(GLOB cli_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/cli/*.c)
if(cli_sources)
  # The verbs are an object library of their own, so that tests can link them without main.
  set(main_source ${CMAKE_SOURCE_DIR}/src/cli/main.c)
  list(REMOVE_ITEM cli_sources ${main_source})
  add_executable(tars)
  if(EXISTS ${main_source})
    target_sources(tars PRIVATE ${main_source})
  endif()
  if(cli_sources)
    add_library(tars_cli OBJECT ${cli_sources})
    tars_host_target(tars_cli)
    target_sources(tars PRIVATE $<TARGET_OBJECTS:tars_cli>)
  endif()
  tars_host_target(tars)
  target_link_libraries(tars PRIVATE tars_static)
endif()

include(${CMAKE_SOURCE_DIR}/cmake/install.cmake)

add_custom_target(programs)
add_dependencies(programs tars_static tars_shared)
if(TARGET tars)
  add_dependencies(programs tars)
endif()

# bench/NAME.c is a program build/bench/NAME; tars itself holds the benchmarks of the engine.
add_custom_target(benches)
file(GLOB bench_files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*.c)
foreach(file ${bench_files})
  get_filename_component(name ${file} NAME_WE)
  add_executable(bench_${name} EXCLUDE_FROM_ALL ${file})
  target_link_libraries(bench_${name} PRIVATE Threads::Threads)
  set_target_properties(bench_${name} PROPERTIES OUTPUT_NAME ${name}
                        RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  add_dependencies(benches bench_${name})
endforeach()
