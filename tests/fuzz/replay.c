/* Runs a fuzz target once over each given file of hex or bytes, without libFuzzer. */
#include <string.h>

#include "tests/fuzz/fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max)
{
    (void)data;
    (void)max;
    return n;
}

/* A file named .hex holds bytes as hex; the length after decoding. */
static size_t unhex(uint8_t *p, size_t n)
{
    size_t out = 0;

    for (size_t i = 0; i + 1 < n && p[i] != '\n'; i += 2) {
        char two[3] = {(char)p[i], (char)p[i + 1], 0}, *end;

        p[out++] = (uint8_t)strtoul(two, &end, 16);
        demand(*end == '\0');
    }
    return out;
}

int main(int argc, char **argv)
{
    static uint8_t data[1024 * 1024];

    for (int i = 1; i < argc; i++) {
        FILE *f = fopen(argv[i], "rb");
        size_t n, len = strlen(argv[i]);

        demand(f != NULL);
        n = fread(data, 1, sizeof data, f);
        demand(n < sizeof data && fclose(f) == 0);
        if (len > 4 && strcmp(argv[i] + len - 4, ".hex") == 0)
            n = unhex(data, n);
        /* a copy of its own size, so that the sanitizer sees a read behind it */
        uint8_t *exact = malloc(n > 0 ? n : 1);
        demand(exact != NULL);
        memcpy(exact, data, n);
        demand(LLVMFuzzerTestOneInput(exact, n) == 0);
        free(exact);
        (void)printf("%s: %zu bytes\n", argv[i], n);
    }
    return argc > 1 ? 0 : 2;
}
