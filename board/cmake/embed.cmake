# cmake -DIN=file -DOUT=file.c -DNAME=symbol -P embed.cmake: IN as `const unsigned char NAME[]`
# (with a NUL behind it) and `const unsigned long NAME_bytes`.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
file(SIZE ${IN} size)
file(WRITE ${OUT} "extern const unsigned char ${NAME}[];\nextern const unsigned long ${NAME}_bytes;\nconst unsigned char ${NAME}[] = {\n${bytes}0x00};\nconst unsigned long ${NAME}_bytes = ${size};\n")
