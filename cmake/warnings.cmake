# Flags that every object of the project gets.
add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
                    -Wmissing-prototypes -ffp-contract=off -fno-math-errno)
if(CMAKE_C_COMPILER_ID STREQUAL Clang)
  add_compile_options(-Wno-string-conversion) # assert(!"why this cannot happen")
endif()
option(TARS_WERROR "treat warnings as errors" ON)
if(TARS_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_definitions(_GNU_SOURCE)
include_directories(${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
# Paths of this machine stay out of the objects, so that equal sources give equal bytes.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
