/* test-day-site DIR: leaves in DIR what a gateway has of a day, for verifiers of other languages:
 * its public key, a folder usb of sealed batches, and what `fieldpost digest` prints. */
#include "tests/gateway/cli/day.h"

static char *dir;

static void print_to(const char *name, const char *const *args)
{
    char path[400];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(day_cli(out, stderr, args), 0);
    assert_int_equal(fclose(out), 0);
}

static void make(void **state)
{
    struct line *l = *state;
    char conf[400], usb[400];
    day_make(l);
    (void)snprintf(conf, sizeof(conf), "%s/f.yaml", l->dir);
    (void)snprintf(usb, sizeof(usb), "%s/usb", dir);
    day_pub(l, dir);
#define DIGEST(form) (const char *[]){"digest", "--config", conf, "--format", form, NULL}
    print_to("digest.txt", DIGEST("text"));
    print_to("digest.json", DIGEST("json"));
    print_to("digest.pbm", DIGEST("pbm"));
    print_to("digest.svg", DIGEST("svg"));
    print_to("export.txt", (const char *[]){"export", "--config", conf, "--sealed", usb, NULL});
    print_to("readings.csv",
             (const char *[]){"export", "--config", conf, "--format", "csv", "--raw", NULL});
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(make, line_setup, line_teardown)};
    if (argc != 2)
        return 2;
    dir = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
