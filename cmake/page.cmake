# Makes the chat page one document and a C header of its bytes:
#   cmake -DWEB=src/server/web -DOUT=build/.../server/web_page.h -P cmake/page.cmake
# page.html gets style.css and the modules below in place of its two marks. The modules are joined in the order
# of the list, each after what it imports, into one inline module: import lines and the word export go.
# The header also holds the hashes of the inline parts for the Content-Security-Policy, and an ETag.
cmake_minimum_required(VERSION 3.25)

set(MODULES dom markdown tree api settings store answer tools message transcript chats composer app)

# SHA-256 of a file in base64, as a Content-Security-Policy wants it.
function(hash_base64 path out)
  set(digits "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  file(SHA256 "${path}" hex)
  set(text "")
  # 32 bytes: ten groups of three, and two bytes that are padded with a zero byte.
  foreach(group RANGE 10)
    math(EXPR at "${group} * 6")
    string(SUBSTRING "${hex}00" ${at} 6 six)
    foreach(shift 18 12 6 0)
      math(EXPR digit "(0x${six} >> ${shift}) & 63")
      string(SUBSTRING "${digits}" ${digit} 1 letter)
      string(APPEND text "${letter}")
    endforeach()
  endforeach()
  string(REGEX REPLACE "A$" "=" text "${text}") # the last six bits are the padding's
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

set(script "")
set(joined "")
foreach(module ${MODULES})
  file(READ "${WEB}/${module}.js" source)
  set(source "\n${source}")
  string(REGEX MATCHALL "\nimport [^;]*'\\./[a-z]+\\.js'" imports "${source}")
  foreach(line ${imports})
    string(REGEX REPLACE ".*'\\./([a-z]+)\\.js'" "\\1" needs "${line}")
    if(NOT needs IN_LIST joined)
      message(FATAL_ERROR "${module}.js imports ${needs}.js, which comes later in the list of cmake/page.cmake")
    endif()
  endforeach()
  string(REGEX REPLACE "\nimport [^;]*'\\./[a-z]+\\.js';" "" source "${source}")
  string(REGEX REPLACE "\nexport (async function|function|class|const|let)" "\n\\1" source "${source}")
  if(source MATCHES "\n(import|export)[ {]" OR source MATCHES "</[Ss][Cc][Rr][Ii][Pp][Tt]")
    message(FATAL_ERROR "${module}.js: an import, export or closing tag that cmake/page.cmake cannot embed: ${CMAKE_MATCH_0}")
  endif()
  list(APPEND joined ${module})
  string(APPEND script "${source}")
endforeach()
file(READ "${WEB}/style.css" style)
set(style "\n${style}")
file(READ "${WEB}/page.html" page)

get_filename_component(dir "${OUT}" DIRECTORY)
file(WRITE "${dir}/page_script.js" "${script}")
file(WRITE "${dir}/page_style.css" "${style}")
hash_base64("${dir}/page_script.js" script_hash)
hash_base64("${dir}/page_style.css" style_hash)
foreach(mark "<link rel=\"stylesheet\" href=\"style.css\">" "<script type=\"module\" src=\"app.js\"></script>")
  string(FIND "${page}" "${mark}" at)
  if(at LESS 0)
    message(FATAL_ERROR "page.html: ${mark} is missing")
  endif()
endforeach()
string(REPLACE "<link rel=\"stylesheet\" href=\"style.css\">" "<style>${style}</style>" page "${page}")
string(REPLACE "<script type=\"module\" src=\"app.js\"></script>" "<script type=\"module\">${script}</script>" page
               "${page}")
file(WRITE "${dir}/page.html" "${page}")

file(SHA256 "${dir}/page.html" digest)
string(SUBSTRING "${digest}" 0 16 tag)
file(READ "${dir}/page.html" bytes HEX)
string(REPEAT "[0-9a-f][0-9a-f]" 24 line)
string(REGEX REPLACE "(${line})" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
file(WRITE "${OUT}"
     "// Made by cmake/page.cmake from src/server/web.\n"
     "#define WEB_PAGE_SCRIPT_HASH \"sha256-${script_hash}\"\n"
     "#define WEB_PAGE_STYLE_HASH \"sha256-${style_hash}\"\n"
     "#define WEB_PAGE_ETAG \"\\\"${tag}\\\"\"\n"
     "static const unsigned char WEB_PAGE[] = {\n${bytes}\n};\n")
