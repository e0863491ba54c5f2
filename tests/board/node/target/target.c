/* Tests of the host, on target: they say what they find through semihosting (ARM IHI 0100), which
 * also gives QEMU its exit status. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "firmware/mcu/cortexm/cortexm.h"

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };

int main(void);

static void host(uint32_t what, const void *with)
{
    register uint32_t r0 __asm("r0") = what;
    register const void *r1 __asm("r1") = with;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static _Noreturn void end(uint32_t status)
{
    const uint32_t block[2] = {APPLICATION_EXIT, status};
    host(SYS_EXIT_EXTENDED, block);
    for (;;)
        ;
}

size_t strlen(const char *s)
{
    size_t n = 0;
    while (s[n] != '\0')
        n++;
    return n;
}

size_t strnlen(const char *s, size_t most)
{
    size_t n = 0;
    while (n < most && s[n] != '\0')
        n++;
    return n;
}

int strcmp(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b)
        a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)s;
        if (*s == '\0')
            return NULL;
    }
}

char *getenv(const char *name)
{
    (void)name;
    return NULL;
}

static uint32_t drawn = 1;

void srand(unsigned seed)
{
    drawn = seed;
}

int rand(void)
{
    drawn = drawn * 1103515245U + 12345U;
    return (int)(drawn >> 8);
}

unsigned long strtoul(const char *s, char **end, int base)
{
    unsigned long v = 0;
    for (; *s >= '0' && *s <= '9'; s++)
        v = v * (unsigned long)base + (unsigned long)(*s - '0');
    if (end != NULL)
        *end = (char *)s;
    return v;
}

/* Of a stack: what was taken last can be given back. */
static uint64_t heap[8192];
static size_t used;

void *malloc(size_t n)
{
    size_t words = (n + 7) / 8;
    if (words > sizeof heap / sizeof *heap - used)
        return NULL;
    used += words;
    return &heap[used - words];
}

void free(void *p)
{
    if (p != NULL)
        used = (size_t)((uint64_t *)p - heap);
}

_Bool target_same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* %s, %c and numbers, without widths; what it does not know it leaves as it is. */
static int print(char *p, size_t room, const char *f, va_list args)
{
    size_t n = 0;
    char digits[24];
    for (; *f != '\0'; f++) {
        const char *s = digits;
        char one[2] = {*f, '\0'};
        if (*f != '%') {
            s = one;
        } else {
            while (*++f == 'z' || *f == 'l' || *f == '0' || *f == '2')
                ;
            if (*f == 's') {
                s = va_arg(args, const char *);
            } else if (*f == 'c') {
                one[0] = (char)va_arg(args, int);
                s = one;
            } else if (*f == 'd' || *f == 'i' || *f == 'u' || *f == 'x' || *f == 'X') {
                uint32_t v = va_arg(args, uint32_t);
                bool minus = (*f == 'd' || *f == 'i') && v > INT32_MAX;
                uint32_t base = *f == 'x' || *f == 'X' ? 16 : 10;
                char *d = digits + sizeof digits - 1;
                *d = '\0';
                v = minus ? 0U - v : v;
                do
                    *--d = "0123456789abcdef"[v % base];
                while ((v /= base) != 0);
                if (minus)
                    *--d = '-';
                s = d;
            } else {
                one[0] = *f;
                s = one;
            }
        }
        for (; *s != '\0'; s++, n++)
            if (n + 1 < room)
                p[n] = *s;
    }
    if (room > 0)
        p[n < room ? n : room - 1] = '\0';
    return (int)n;
}

int snprintf(char *p, size_t room, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = print(p, room, format, args);
    va_end(args);
    return n;
}

static char text[512];

int printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = print(text, sizeof text, format, args);
    va_end(args);
    host(SYS_WRITE0, text);
    return n;
}

_Noreturn void target_fail(const char *file, int line, const char *format, ...)
{
    printf("%s:%d: ", file, line);
    va_list args;
    va_start(args, format);
    print(text, sizeof text, format, args);
    va_end(args);
    host(SYS_WRITE0, text);
    printf("\n");
    end(1);
}

int target_run(const char *name, const struct CMUnitTest *tests, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void *state = NULL;
        if (tests[i].setup != NULL && tests[i].setup(&state) != 0)
            target_fail(tests[i].name, 0, "its setup failed");
        tests[i].test(&state);
        if (tests[i].teardown != NULL && tests[i].teardown(&state) != 0)
            target_fail(tests[i].name, 0, "its teardown failed");
    }
    printf("%s: %d tests passed\n", name, (int)n);
    return 0;
}

static void nothing(void)
{
}

__attribute__((section(".vectors"), used)) static const union cortexm_vector vectors[16] = {
    CORTEXM_VECTORS(nothing, nothing),
};

_Noreturn void board_main(void)
{
    end((uint32_t)main());
}
