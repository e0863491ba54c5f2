/* Jumps by the compiler's own means: back into a function that has not returned. */
#ifndef TARGET_SETJMP_H
#define TARGET_SETJMP_H

typedef void *jmp_buf[5];
#define setjmp(buf) __builtin_setjmp(buf)
#define longjmp(buf, value) __builtin_longjmp(buf, 1)

#endif
