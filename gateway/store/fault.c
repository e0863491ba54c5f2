/* Why the store cannot do its work now: what the page shows, and what a lost poll is lost for. */
#include "gateway/store/store_int.h"

#include <stdio.h>
#include <string.h>

static const char *const whys[STORE_DOINGS] = {[STORE_JOURNALLING] = "store_fault",
                                               [STORE_SEALING] = "seal_fault",
                                               [STORE_SPACE] = "disk_full"};

void store_fault(struct store *s, enum store_doing doing, const char *text)
{
    pthread_mutex_lock(&s->board_lock);
    bool was = s->stats.fault[0] != 0;
    snprintf(s->fault[doing], sizeof s->fault[doing], "%s", text);
    const char *now = "", *why = NULL;
    for (int i = STORE_DOINGS; i-- > 0;)
        if (s->fault[i][0]) {
            now = s->fault[i];
            why = whys[i];
        }
    bool is = now[0] != 0;
    memcpy(s->stats.fault, is ? now : s->fault[0], sizeof s->stats.fault);
    s->stats.fault_why = why;
    pthread_mutex_unlock(&s->board_lock);
    if (is == was)
        return;
    pthread_mutex_lock(&s->lock);
    s->faulty = is;
    pthread_mutex_unlock(&s->lock);
    store_event(s, is ? STORE_ERROR : STORE_INFO, is ? "store.fault" : "store.good", NULL, "%s",
                is ? text : "readings are stored and sealed again");
}

void store_seal_fault(struct store *s, const char *text)
{
    store_fault(s, STORE_SEALING, text);
}
