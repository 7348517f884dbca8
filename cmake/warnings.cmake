# Flags that every object of the project gets.
# TARS_ARITHMETIC_FLAGS: those that the bits of results depend on; what is compiled elsewhere takes
# them too.
set(TARS_ARITHMETIC_FLAGS -ffp-contract=off -fno-math-errno)
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
  # gcc 12 loses the rounding of neighbouring (double)(float)x when it vectorises them
  list(APPEND TARS_ARITHMETIC_FLAGS -fno-tree-slp-vectorize)
endif()
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
                    -Wmissing-prototypes ${TARS_ARITHMETIC_FLAGS})
if(CMAKE_C_COMPILER_ID STREQUAL Clang)
  add_compile_options(-Wno-string-conversion) # assert(!"why this cannot happen")
endif()
# A warning is an error with the compilers that the project is checked with; another version may
# know warnings that this one does not, and must still build.
set(TARS_WERROR_DEFAULT OFF)
if((CMAKE_C_COMPILER_ID STREQUAL GNU AND CMAKE_C_COMPILER_VERSION MATCHES "^12\\.") OR
   (CMAKE_C_COMPILER_ID STREQUAL Clang AND CMAKE_C_COMPILER_VERSION MATCHES "^19\\."))
  set(TARS_WERROR_DEFAULT ON)
endif()
option(TARS_WERROR "treat warnings as errors" ${TARS_WERROR_DEFAULT})
if(TARS_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_definitions(_GNU_SOURCE)
include_directories(${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
# Paths of this machine stay out of the objects, so that equal sources give equal bytes.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
