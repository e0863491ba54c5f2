/* Readings that a person brings: what is sealed of them, what is refused, and that each counts once
 * whatever fails meanwhile. */
#include "tests/gateway/seal/world.h"

/* dev-0 is polled, dev-1 is a scale: dev-1/p0 is a weight, p1 a temperature, p2 a bare number. */
static const char *const quantities[] = {"temperature", "temperature", "temperature",
                                         "weight",      "temperature", "number"};

static int begin(void **state)
{
    int rc = line_setup(state);
    struct line *l = *state;
    l->manual[1] = true;
    l->quantity = quantities;
    fail_at = -1;
    w = (struct world){.l = l, .known_ms = 1};
    return rc;
}

static void go(struct line *l)
{
    line_start(l);
    for (; l->utc_ms < LINE_M1 + 65000; line_to(l, l->utc_ms + 10000 - l->utc_ms % 10000))
        if (l->utc_ms % 10000 == 0)
            line_poll(l, 0, l->utc_ms, 200);
}

/* Hands a slip over as the command line does; its id. */
static void hand_over(struct line *l, const struct store_ask *a, char hex[WIRE_ID_TEXT])
{
    struct store_request q;
    struct err e = {.text = ""};
    if (store_request_make(&q, a, "Lan", l->utc_ms, NULL, &e) != ST_OK ||
        store_request_put(l->db, &q, &e) != ST_OK)
        fail_msg("%s", e.text);
    (void)snprintf(hex, WIRE_ID_TEXT, "%s", q.hex);
    store_request_free(&q);
}

static struct store_fate fate_of(struct line *l, const char *hex)
{
    struct store_reader *r = NULL;
    struct store_fate f;
    struct err e = {.text = ""};
    assert_int_equal(store_reader_open(&r, l->db, &e), ST_OK);
    if (store_request_fate(l->db, r, hex, &f, &e) != ST_OK)
        fail_msg("%s", e.text);
    store_reader_close(r);
    return f;
}

static void turns(struct line *l, int n)
{
    for (int i = 0; i < n; i++) {
        l->utc_ms += 1000;
        l->mono_ms += 1000;
        struct err e = {.text = ""};
        assert_int_equal(store_step(l->store, false, &e), ST_OK);
        (void)!seal_step(l->seal, &e); /* may fail where the test says so */
    }
}

static struct store_fate enter(struct line *l, const struct store_ask *a)
{
    char hex[WIRE_ID_TEXT];
    hand_over(l, a, hex);
    turns(l, 1);
    return fate_of(l, hex);
}

#define ASK_OF(name, ...) (&(struct store_ask){.kind = STORE_ENTER, .series = (name), __VA_ARGS__})
#define ASK(...) ASK_OF("dev-1/p0", __VA_ARGS__)

static void refused(struct line *l, const struct store_ask *a, const char *says)
{
    struct store_fate f = enter(l, a);
    assert_int_equal(f.is, STORE_REFUSED);
    if (!strstr(f.why, says))
        fail_msg("\"%s\" lacks \"%s\"", f.why, says);
}

/* What is sealed of the scale: readings, and entries that name them. */
struct sealed {
    size_t readings, entries;
    struct num v;
    int64_t t_ms;
    uint32_t q;
    char unit[8], author[16], note[64];
    struct num named;
    int64_t named_ms;
    bool late; /* its batch's window begins behind it */
};

static void text_of(char *to, size_t n, struct wire_span s)
{
    (void)snprintf(to, n, "%.*s", (int)s.n, (const char *)s.p);
}

static void see_data(struct sealed *s, const struct line_batch *b)
{
    struct wire_senml m;
    struct wire_reading r;
    struct wire_span p = b->batch.cose.payload;
    assert_int_equal(wire_senml_open(&m, p.p, p.n, "gw-01", NULL, NULL), ST_OK);
    while (wire_senml_next(&m, &r, NULL) == ST_OK) {
        if (memcmp(r.device.p, "dev-1", r.device.n) != 0)
            continue;
        s->readings++;
        s->v = r.v;
        s->t_ms = r.t_ms;
        s->q = r.q;
        s->late = r.t_ms < b->batch.header.from_ms;
        text_of(s->unit, sizeof s->unit, r.unit);
    }
}

static void see_control(struct sealed *s, const struct line_batch *b)
{
    struct wire_control c;
    struct wire_entry x;
    struct wire_span p = b->batch.cose.payload;
    assert_int_equal(wire_control_open(&c, p.p, p.n, NULL), ST_OK);
    while (wire_control_next(&c, &x, NULL) == ST_OK) {
        if (x.kind != WIRE_ENTRY_ENTERED)
            continue;
        s->entries++;
        s->named = x.value;
        s->named_ms = x.at_ms;
        text_of(s->author, sizeof s->author, x.author);
        text_of(s->note, sizeof s->note, x.reason);
    }
}

static struct sealed sealed(struct line *l)
{
    struct sealed s = {0};
    struct line_batches b;
    line_batches(l, &b);
    line_assert_chain(&b);
    for (size_t i = 0; i < b.n; i++)
        (b.v[i].batch.header.kind == WIRE_DATA ? see_data : see_control)(&s, &b.v[i]);
    line_batches_done(&b);
    return s;
}

/* Up to the seal of the window. */
static void window(struct line *l)
{
    turns(l, 70);
}

static void a_slip_is_a_reading_and_an_entry_that_names_it(void **state)
{
    struct line *l = *state;
    struct store_now now;
    go(l);
    struct store_fate f = enter(l, ASK(.value = "4.25", .unit = "t", .at = "2026-09-21T14:07:30Z",
                                       .note = "slip 17, truck 76C"));
    assert_int_equal(f.is, STORE_SEALED);
    store_board(l->store, 3, 1, &now);
    assert_int_equal(now.count, 1);
    assert_int_equal(line_pending_readings(l) > 0, 1); /* durable before it is told */
    window(l);
    struct sealed s = sealed(l);
    assert_int_equal(s.readings, 1);
    assert_int_equal(s.entries, 1);
    assert_int_equal(num_cmp(s.v, num_dec(4250, 0)), 0);
    assert_string_equal(s.unit, "kg");
    assert_int_equal(s.q, WIRE_Q_HAND);
    assert_true(s.late);
    assert_int_equal(s.t_ms, LINE_T0 - 350000);
    assert_int_equal(s.named_ms, s.t_ms);
    assert_int_equal(num_cmp(s.named, s.v), 0);
    assert_string_equal(s.author, "Lan");
    assert_string_equal(s.note, "slip 17, truck 76C");
}

static void what_does_not_fit_is_refused_in_words(void **state)
{
    struct line *l = *state;
    go(l);
    refused(l, ASK_OF("dev-0/p0", .value = "20"), "not entered by hand");
    refused(l, ASK_OF("dev-7/p0", .value = "20"), "no such series");
    refused(l, ASK(.value = "20", .unit = "l"), "give the value in kg");
    refused(l, ASK_OF("dev-1/p2", .value = "20", .unit = "kg"), "bare number");
    refused(l, ASK_OF("dev-1/p1", .value = "80.1"), "outside -40 to 80");
    refused(l, ASK(.value = "20", .at = "2027-01-01"), "lies ahead");
    refused(l, ASK(.value = "20", .at = "5"), "before 1987");
    window(l);
    struct sealed s = sealed(l);
    assert_int_equal(s.readings + s.entries, 0);
}

static void what_is_forced_beyond_its_limits_is_flagged(void **state)
{
    struct line *l = *state;
    go(l);
    struct store_fate f = enter(l, ASK_OF("dev-1/p1", .value = "80.1", .force = "true"));
    assert_int_equal(f.is, STORE_SEALED);
    window(l);
    assert_int_equal(sealed(l).q, WIRE_Q_HAND | WIRE_Q_LIMITS);
    f = enter(l, ASK_OF("dev-1/p1", .value = "20", .force = "true"));
    assert_int_equal(f.is, STORE_SEALED);
    window(l);
    assert_int_equal(sealed(l).q, WIRE_Q_HAND); /* there was nothing to force */
}

static void the_same_slip_counts_once(void **state)
{
    struct line *l = *state;
    char first[WIRE_ID_TEXT], second[WIRE_ID_TEXT];
    const char *at = "2026-09-21T14:12:30Z";
    go(l);
    hand_over(l, ASK(.value = "4.25", .unit = "t", .at = at), first);
    hand_over(l, ASK(.value = "4250", .at = at), second);
    turns(l, 1);
    /* which one of two files of the same moment is first is drawn */
    bool one = fate_of(l, first).is == STORE_SEALED, two = fate_of(l, second).is == STORE_SEALED;
    assert_true(one != two);
    assert_non_null(strstr(fate_of(l, one ? second : first).why, "counts once"));
    window(l);
    refused(l, ASK(.value = "4250", .at = at), "counts once"); /* sealed */
    line_stop(l);
    line_start(l);
    turns(l, 5);
    refused(l, ASK(.value = "4250.0", .at = at), "counts once"); /* and behind a start */
    assert_int_equal(enter(l, ASK(.value = "4251", .at = at)).is, STORE_SEALED);
    window(l);
    struct sealed s = sealed(l);
    assert_int_equal(s.readings, 2);
    assert_int_equal(s.entries, 2);
}

static void put_back(struct line *l, const struct store_request *q)
{
    struct err e = {.text = ""};
    if (store_request_put(l->db, q, &e) != ST_OK)
        fail_msg("%s", e.text);
}

/* A kill between the commit and the removal of the file: it is there again at the next start. */
static void a_kill_behind_the_commit_counts_it_once(void **state)
{
    struct line *l = *state;
    struct store_request q;
    go(l);
    assert_int_equal(store_request_make(&q, ASK(.value = "100"), "Lan", l->utc_ms, NULL, NULL),
                     ST_OK);
    put_back(l, &q);
    turns(l, 1);
    assert_int_equal(fate_of(l, q.hex).is, STORE_SEALED);
    line_stop(l);
    put_back(l, &q);
    line_start(l);
    turns(l, 5);
    assert_int_equal(fate_of(l, q.hex).is, STORE_SEALED);
    window(l);
    struct sealed s = sealed(l);
    assert_int_equal(s.readings, 1);
    assert_int_equal(s.entries, 1);
    store_request_free(&q);
}

/* The reading and its author are durable together: a store that fails has neither. */
static void a_store_that_fails_has_neither(void **state)
{
    struct line *l = *state;
    char hex[WIRE_ID_TEXT];
    go(l);
    uint64_t before = line_pending_readings(l);
    hand_over(l, ASK(.value = "100"), hex);
    fail_at = 1; /* the second call is that with the reading in it */
    turns(l, 1);
    assert_int_equal(fate_of(l, hex).is, STORE_WAITS);
    fail_at = -1;
    line_stop(l);
    line_start(l);
    struct sealed s = sealed(l);
    assert_int_equal(s.readings + s.entries, 0);
    assert_int_equal(line_pending_readings(l), before);
    turns(l, 5);
    hand_over(l, ASK(.value = "200"), hex); /* and one that it takes at the second time */
    fail_at = 1;
    turns(l, 2);
    assert_int_equal(fate_of(l, hex).is, STORE_WAITS);
    fail_at = -1;
    window(l);
    s = sealed(l);
    assert_int_equal(s.readings, 2);
    assert_int_equal(s.entries, 2);
}

static void without_a_clock_a_slip_waits_and_others_do_not(void **state)
{
    struct line *l = *state;
    char slip[WIRE_ID_TEXT], fix[WIRE_ID_TEXT];
    go(l);
    line_stop(l);
    l->boots++;
    l->grade = CLK_UNKNOWN;
    int64_t utc_ms = l->utc_ms;
    l->mono_ms = 20000;
    l->utc_ms = CLK_UNKNOWN_BASE_MS + l->mono_ms;
    line_start(l);
    turns(l, 3);
    hand_over(l, ASK(.value = "100", .at = "2026-09-21T14:12:30Z"), slip);
    hand_over(l,
              &(struct store_ask){.kind = STORE_CORRECT,
                                  .series = "dev-0/p0",
                                  .from = "2026-09-21",
                                  .to = "2026-09-22",
                                  .change = "invalidate",
                                  .reason = "x"},
              fix);
    turns(l, 5);
    assert_int_equal(fate_of(l, slip).is, STORE_WAITS);
    assert_int_equal(fate_of(l, fix).is, STORE_SEALED);
    l->grade = CLK_SYNCED;
    l->utc_ms = utc_ms + 60000;
    turns(l, 10);
    assert_int_equal(fate_of(l, slip).is, STORE_SEALED);
    window(l);
    assert_int_equal(sealed(l).readings, 1);
}

/* A box without a clock, or with a dead battery: it is done already, and the chain says so. */
static void what_was_set_up_is_sealed_whatever_the_clock_said(void **state)
{
    struct line *l = *state;
    struct store_request q;
    struct err e = {.text = ""};
    char hex[WIRE_ID_TEXT];
    go(l);
    assert_int_equal(store_request_setup(&q, "unit 1 -> unit 11", "Minh", 5000, &e), ST_OK);
    assert_int_equal(store_request_put(l->db, &q, &e), ST_OK);
    (void)snprintf(hex, sizeof hex, "%s", q.hex);
    store_request_free(&q);
    turns(l, 1);
    assert_int_equal(fate_of(l, hex).is, STORE_SEALED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, line_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_slip_is_a_reading_and_an_entry_that_names_it),
        T(what_does_not_fit_is_refused_in_words),
        T(what_is_forced_beyond_its_limits_is_flagged),
        T(the_same_slip_counts_once),
        T(a_kill_behind_the_commit_counts_it_once),
        T(a_store_that_fails_has_neither),
        T(without_a_clock_a_slip_waits_and_others_do_not),
        T(what_was_set_up_is_sealed_whatever_the_clock_said),
    };
    return cmocka_run_group_tests_name("enter", tests, NULL, NULL);
}
