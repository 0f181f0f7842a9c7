# The engine's libraries, compiled from the sources that web/tools/toolchain.py has put into VIV_WEB_LIBRARIES, under the names
# that the native build finds them by. Their warnings are not ours.
if(NOT VIV_WEB_LIBRARIES)
  message(FATAL_ERROR "the web preset wants the toolchain file that web/tools/toolchain.py leaves; ./dev web passes it")
endif()
set(sources ${VIV_WEB_LIBRARIES}/sources)

# viv_web_library(NAME ALIAS INCLUDE_FOLDER SOURCES...)
function(viv_web_library name alias include)
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} SYSTEM PUBLIC ${include})
  target_compile_options(${name} PRIVATE -O2 -w)
  add_library(${alias} ALIAS ${name})
endfunction()

viv_web_library(web_fmt fmt::fmt ${sources}/fmtlib/include ${sources}/fmtlib/src/format.cc)

add_library(web_xxhash INTERFACE)
target_include_directories(web_xxhash SYSTEM INTERFACE ${sources}/xxhash)
target_compile_definitions(web_xxhash INTERFACE XXH_INLINE_ALL XXH_VECTOR=0)
add_library(PkgConfig::XXHASH ALIAS web_xxhash)

file(GLOB zstd ${sources}/libzstd/lib/common/*.c ${sources}/libzstd/lib/compress/*.c ${sources}/libzstd/lib/decompress/*.c)
viv_web_library(web_zstd PkgConfig::ZSTD ${sources}/libzstd/lib ${zstd})
target_compile_definitions(web_zstd PRIVATE ZSTD_DISABLE_ASM)

file(GLOB zlib ${sources}/zlib/*.c)
list(FILTER zlib EXCLUDE REGEX "/gz[a-z]*\\.c$")
viv_web_library(web_zlib ZLIB::ZLIB ${sources}/zlib ${zlib})

# SHA-256 and HMAC alone.
set(hashes ${sources}/mbedtls/library)
viv_web_library(web_mbedcrypto mbedcrypto ${sources}/mbedtls/include ${hashes}/md.c ${hashes}/sha256.c ${hashes}/platform_util.c ${hashes}/constant_time.c)
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/mbedtls/hashes.h CONTENT "#define MBEDTLS_MD_C\n#define MBEDTLS_SHA256_C\n")
target_include_directories(web_mbedcrypto SYSTEM PUBLIC ${CMAKE_BINARY_DIR}/mbedtls)
target_compile_definitions(web_mbedcrypto PUBLIC MBEDTLS_CONFIG_FILE="hashes.h")
