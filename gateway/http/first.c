/* The first contact with a server whose CA is not known yet. */
#include <curl/curl.h>
#include <string.h>

#include "gateway/http/http_int.h"

static bool ask(CURL *h, const char *url, int64_t connect_ms)
{
#define SET(option, value) (curl_easy_setopt(h, CURLOPT_##option, (value)) == CURLE_OK)
    return SET(URL, url) && SET(NOSIGNAL, 1L) && SET(PROTOCOLS_STR, "https") && SET(PROXY, "") &&
           SET(SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) && SET(SSL_VERIFYPEER, 0L) &&
           SET(SSL_VERIFYHOST, 0L) && SET(CERTINFO, 1L) && SET(CONNECT_ONLY, 1L) &&
           SET(TIMEOUT_MS, (long)connect_ms) && SET(QUICK_EXIT, HTTP_LEAVES_LOOKUPS);
#undef SET
}

static enum st take(CURL *h, struct buf *pem)
{
    struct curl_certinfo *info = NULL;

    if (curl_easy_getinfo(h, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL ||
        info->num_of_certs < 1)
        return ST_NOT_FOUND;
    for (const struct curl_slist *l = info->certinfo[0]; l != NULL; l = l->next) {
        if (strncmp(l->data, "Cert:", 5) == 0)
            return buf_put(pem, l->data + 5, strlen(l->data + 5));
    }
    return ST_NOT_FOUND;
}

enum st http_server_cert(const char *url, int64_t connect_ms, struct buf *pem, struct err *e)
{
    ERR_TRY(http_client_ready(e));
    CURL *h = curl_easy_init();
    if (h == NULL || !ask(h, url, connect_ms)) {
        curl_easy_cleanup(h);
        return err_set(e, ST_MEMORY, "%s: the call cannot be made", url);
    }
    CURLcode rc = curl_easy_perform(h);
    enum st st = ST_OK;
    if (rc != CURLE_OK)
        st = err_set(e, rc == CURLE_OPERATION_TIMEDOUT ? ST_TIMEOUT : ST_IO, "%s: %s", url,
                     curl_easy_strerror(rc));
    else if (take(h, pem) != ST_OK)
        st = err_set(e, ST_IO, "%s: shows no certificate", url);
    curl_easy_cleanup(h);
    return st;
}
