# cmake -DMODULE=FILE -P portable_module.cmake: emscripten 3.1's modules for Node and browsers import one of Node's at their top,
# which browsers refuse. Here that becomes an import where it is wanted only; newer ones do so themselves.
file(READ ${MODULE} text)
string(REPLACE "import { createRequire } from 'module';\nconst require = createRequire(import.meta.url);"
  "const require = globalThis.process?.versions?.node ? (await import('module')).createRequire(import.meta.url) : undefined;"
  text "${text}")
if(text MATCHES "(^|\n)import ")
  message(FATAL_ERROR "${MODULE}: imports another module, which browsers may not have; portable_module.cmake must know its form")
endif()
file(WRITE ${MODULE} "${text}")
