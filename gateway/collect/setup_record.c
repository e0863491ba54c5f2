/* What was written to a device, for the chain: as all that people ask for, a file beside the store
 * that the gateway seals once. */
#include <unistd.h>

#include "gateway/base/drop.h"
#include "gateway/collect/setup_int.h"

enum st collect_setup_can_record(const char *store_path, const char *who, struct err *e)
{
    char path[DROP_PATH_BYTES];
    int folder;
    struct store_request q;
    enum st st = store_request_setup(&q, "a device", who, 0, e);
    store_request_free(&q);
    if (st != ST_OK)
        return st;
    ERR_TRY(drop_open(store_path, STORE_REQUESTS, 0700, path, &folder, e));
    (void)close(folder);
    return ST_OK;
}

enum st collect_setup_record(const char *store_path, const char *what, const char *who,
                             int64_t utc_ms, struct err *e)
{
    struct store_request q;
    enum st st = store_request_setup(&q, what, who, utc_ms, e);
    if (st == ST_OK)
        st = store_request_put(store_path, &q, e);
    store_request_free(&q);
    return st;
}
