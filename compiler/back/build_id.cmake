# Writes build_id.h: a hash of the sources that turn a kernel into code, and of the interface of kernels.  Objects
# in the cache of another build are not found, whether or not the version changed; the same sources give the same
# identity on any machine, so that a rebuild keeps the cache.
set(all "")
foreach(file IN LISTS FILES)
  file(SHA256 "${file}" hash)
  string(APPEND all "${hash} ")
endforeach()
string(SHA256 id "${all}")
file(WRITE "${OUT}" "#define ATTN_BUILD_ID \"${id}\"\n")
