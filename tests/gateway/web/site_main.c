/* test-web-site [address:port]: serves the made-up site until standard input ends; a line "mend"
 * makes every device good, "gps" gives the survey's receiver a fix. Prints the port, and in the
 * next line the file with its certificate. The users are administrator, technician and viewer, each
 * with the password "a long NAME". */
#include "tests/gateway/web/site.h"

#include "tests/gateway/web/site_survey.h"

static void mend(struct site *s)
{
    site_put(s, SITE_BIN, (struct store_value[]){{num_dec(4130, -2), 5, 0}}, 1);
    site_put(s, SITE_AIR, (struct store_value[]){{num_dec(123, -1), 3, 0}}, 1);
    site_put(s, SITE_HOSTILE_DEVICE, (struct store_value[]){{num_dec(7, 0), 6, 0}}, 1);
    for (uint32_t i = 0; i < SITE_DEVICES; i++)
        site_health(s, i, STORE_GOOD, "");
    SITE_TRY(store_findings_set(s->store, SITE_METER, NULL, 0));
}

int main(int argc, char **argv)
{
    struct site s;
    char line[16];
    site_more = site_survey;
    site_open(&s, argc > 1 ? argv[1] : "127.0.0.1:0");
    for (enum web_role r = WEB_VIEWER; r < WEB_ROLES; r++) {
        char password[64];
        snprintf(password, sizeof password, "a long %s", web_role_text[r]);
        site_user(&s, web_role_text[r], r, password);
    }
    printf("%u\n%s\n", web_port(s.web), s.cert);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        if (strcmp(line, "mend\n") == 0)
            mend(&s);
        else if (strcmp(line, "gps\n") == 0)
            atomic_store(&site_has_gps, true);
    site_close(&s);
    return 0;
}
