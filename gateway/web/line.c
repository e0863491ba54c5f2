/* What the line doctor found, within /api/v1/status. */
#include "gateway/web/web_int.h"

void web_put_findings(struct web_json *j, struct store *s, uint32_t first)
{
    struct store_finding f[STORE_FINDINGS_MAX];
    size_t n = store_findings_get(s, first, f);
    web_json_open(j, "findings", '[');
    for (size_t i = 0; i < n; i++) {
        web_json_open(j, NULL, '{');
        web_json_text(j, "code", f[i].code);
        web_json_bool(j, "note", f[i].note);
        web_json_int(j, "since_ms", f[i].since_ms);
        web_json_text(j, "devices", f[i].devices);
        web_json_text(j, "fault", f[i].fault);
        web_json_text(j, "seen", f[i].seen);
        web_json_text(j, "also", f[i].also);
        web_json_text(j, "advice", f[i].advice);
        web_json_close(j, '}');
    }
    web_json_close(j, ']');
}

void web_put_heard(struct web_json *j, const struct store_heard *h)
{
    if (h->asked == 0) {
        web_json_text(j, "heard", NULL);
        return;
    }
    web_json_open(j, "heard", '{');
    web_json_int(j, "asked", h->asked);
    web_json_int(j, "good", h->good);
    web_json_int(j, "refused", h->refused);
    web_json_int(j, "silent", h->silent);
    web_json_int(j, "late", h->late);
    web_json_int(j, "damaged", h->damaged);
    web_json_int(j, "overlapped", h->overlapped);
    web_json_int(j, "foreign", h->foreign);
    web_json_int(j, "beside", h->beside);
    web_json_int(j, "answer_min_ms", h->answer_min_ms);
    web_json_int(j, "answer_max_ms", h->answer_max_ms);
    web_json_close(j, '}');
}
