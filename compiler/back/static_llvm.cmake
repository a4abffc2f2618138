# The parts of LLVM that the command needs, as archives, in ATTN_LLVM_ARCHIVES; empty where something is missing.
#
# libLLVM.so has all targets and 340 thousand relocations: loading it takes 14 ms, as long as many a model's run.  With the
# archives, and at a fixed address, the command starts in 3 ms; it is 58 MB large and linked in 4 seconds.
set(ATTN_LLVM_ARCHIVES)

function(attn_find_llvm_archives result)
  set(tool ${LLVM_TOOLS_BINARY_DIR}/llvm-config)
  if(NOT EXISTS ${tool})
    return()
  endif()
  execute_process(COMMAND ${tool} --link-static --libfiles orcjit x86 aarch64 passes
    OUTPUT_VARIABLE files OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    return()
  endif()
  separate_arguments(files)
  foreach(file IN LISTS files)
    if(NOT EXISTS ${file})
      return()
    endif()
  endforeach()
  find_library(ATTN_LIBSTDCXX NAMES libstdc++.a libstdc++.so.6 HINTS ${CMAKE_C_IMPLICIT_LINK_DIRECTORIES})
  find_library(ATTN_LIBZSTD zstd)
  find_library(ATTN_LIBZ z)
  if(ATTN_LIBSTDCXX AND ATTN_LIBZSTD AND ATTN_LIBZ)
    set(${result} ${files} ${ATTN_LIBSTDCXX} ${ATTN_LIBZSTD} ${ATTN_LIBZ} rt dl m PARENT_SCOPE)
  endif()
endfunction()

if(ATTN_STATIC_LLVM)
  attn_find_llvm_archives(ATTN_LLVM_ARCHIVES)
  if(NOT ATTN_LLVM_ARCHIVES)
    message(STATUS "archives of LLVM, zstd or zlib are missing: the command will load libLLVM.so")
  endif()
endif()
add_library(attn_llvm_archives INTERFACE)
target_link_libraries(attn_llvm_archives INTERFACE ${ATTN_LLVM_ARCHIVES})
