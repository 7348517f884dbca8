# Cross build for WebAssembly (wasm32, WASI) with clang 19, lld and Debian's wasi-libc. Instructions
# beyond the first version are chosen one by one, so that any host with SIMD128 runs the result.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR wasm32)
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_C_COMPILER_TARGET wasm32-wasi)
set(CMAKE_C_FLAGS_INIT "-msimd128 -mno-bulk-memory -mno-reference-types -D_WASI_EMULATED_PROCESS_CLOCKS")
# Tests take the time they used by clock(), which WASI has as an emulation. The default stack
# of 64 KiB is too small for the tests; first in memory, an overflow traps. The memory starts large
# (untouched pages cost nothing), because Node.js 20 may crash when a program makes it grow.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-lc-printscan-long-double -lwasi-emulated-process-clocks -Wl,-z,stack-size=1048576 -Wl,--stack-first -Wl,--initial-memory=805306368")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
