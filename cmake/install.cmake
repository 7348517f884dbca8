# make install: headers, both libraries, pkg-config file; program, manual page and completions when
# the program was built.
include(GNUInstallDirs)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/tars DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING PATTERN "*.h")
install(TARGETS tars_shared tars_static LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

list(JOIN TARS_PKG_CONFIG_FOUND " " TARS_PC_REQUIRES_PRIVATE)
# The prefix is told relative to the file's own place, so that an installed tree can be moved.
file(RELATIVE_PATH TARS_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${CMAKE_SOURCE_DIR}/cmake/tars.pc.in ${CMAKE_BINARY_DIR}/tars.pc @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/tars.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARS_HAS_WASM)
  install(FILES ${TARS_WASMTIME_LIBRARY} DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${TARS_WASMTIME_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR}
          RENAME LICENSE.wasmtime OPTIONAL)
endif()
if(EXISTS ${CMAKE_SOURCE_DIR}/models/catalogue.yaml)
  install(FILES ${CMAKE_SOURCE_DIR}/models/catalogue.yaml DESTINATION ${CMAKE_INSTALL_DATADIR}/tars)
endif()

# tars_install_generated(DESTINATION NAME VERB…): what `tars VERB…` prints becomes a file.
function(tars_install_generated DESTINATION NAME)
  list(JOIN ARGN " " words)
  install(CODE "
    execute_process(COMMAND \"$<TARGET_FILE:tars>\" ${words}
                    OUTPUT_VARIABLE text ERROR_QUIET RESULT_VARIABLE result)
    if(result EQUAL 0 AND text)
      file(WRITE \"${CMAKE_BINARY_DIR}/generated/${NAME}\" \"\${text}\")
      file(INSTALL \"${CMAKE_BINARY_DIR}/generated/${NAME}\"
           DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${DESTINATION}\")
    else()
      message(STATUS \"Not installed: ${DESTINATION}/${NAME} (tars ${words} gave nothing)\")
    endif()")
endfunction()
if(TARGET tars)
  install(TARGETS tars RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  tars_install_generated(${CMAKE_INSTALL_MANDIR}/man1 tars.1 man)
  tars_install_generated(${CMAKE_INSTALL_DATADIR}/bash-completion/completions tars completion bash)
  tars_install_generated(${CMAKE_INSTALL_DATADIR}/zsh/site-functions _tars completion zsh)
  tars_install_generated(${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d tars.fish completion fish)
endif()
