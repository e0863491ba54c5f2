/* test-web-site [address:port]: serves the made-up site until standard input ends; a line "mend"
 * makes every device good. Prints the port. */
#include "tests/gateway/web/site.h"

static void mend(struct site *s)
{
    site_put(s, SITE_BIN, (struct store_value[]){{num_dec(4130, -2), 5, 0}}, 1);
    site_put(s, SITE_AIR, (struct store_value[]){{num_dec(123, -1), 3, 0}}, 1);
    site_put(s, SITE_HOSTILE_DEVICE, (struct store_value[]){{num_dec(7, 0), 6, 0}}, 1);
    for (uint32_t i = 0; i < SITE_DEVICES; i++)
        site_health(s, i, STORE_GOOD, "");
}

int main(int argc, char **argv)
{
    struct site s;
    char line[16];
    site_open(&s, argc > 1 ? argv[1] : "127.0.0.1:0");
    printf("%u\n", web_port(s.web));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        if (strcmp(line, "mend\n") == 0)
            mend(&s);
    site_close(&s);
    return 0;
}
