/* What three libraries take in a program that does nothing with them: one HTTPS request by libcurl,
 * a libmicrohttpd that listens, an SQLite file in WAL. floor URL CA DB; prints the resident memory
 * in KiB. No part of the product: it stands beside our figure. */
#include <curl/curl.h>
#include <libssh2.h>
#include <microhttpd.h>
#include <sqlite3.h>
#include <stdio.h>

static enum MHD_Result refuse(void *ctx, struct MHD_Connection *c, const char *url,
                              const char *method, const char *version, const char *body,
                              size_t *body_n, void **per_request)
{
    (void)ctx, (void)c, (void)url, (void)method, (void)version, (void)body, (void)body_n;
    (void)per_request;
    return MHD_NO;
}

static long resident_kib(void)
{
    char line[200];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && kib < 0 && fgets(line, sizeof line, f))
        (void)sscanf(line, "VmRSS: %ld", &kib);
    if (f)
        (void)fclose(f);
    return kib;
}

int main(int argc, char **argv)
{
    sqlite3 *db = NULL;
    if (argc != 4 || libssh2_init(LIBSSH2_INIT_NO_CRYPTO) != 0 ||
        curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return 2;
    struct MHD_Daemon *web = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, refuse,
                                              NULL, MHD_OPTION_END);
    int rc = sqlite3_open(argv[3], &db);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE t(a); INSERT INTO t VALUES(1)",
                          NULL, NULL, NULL);
    CURL *c = curl_easy_init();
    curl_easy_setopt(c, CURLOPT_URL, argv[1]);
    curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(c, CURLOPT_CAINFO, argv[2]);
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    if (!web || rc != SQLITE_OK || curl_easy_perform(c) != CURLE_OK)
        return 1;
    printf("%ld\n", resident_kib());
    curl_easy_cleanup(c);
    curl_global_cleanup();
    sqlite3_close(db);
    MHD_stop_daemon(web);
    return 0;
}
