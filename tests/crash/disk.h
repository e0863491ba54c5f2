/* What is on the disk when the power goes: a recorded log, applied up to some call, with what was
 * synced kept and what was not left to a fault. README.md says what each fault means. */
#ifndef TESTS_CRASH_DISK_H
#define TESTS_CRASH_DISK_H

#include "tests/crash/recorder.h"

enum fault {
    FAULT_KEPT,
    FAULT_DROPPED,
    FAULT_TORN_512,
    FAULT_TORN_4096,
    FAULT_REORDERED,
    FAULT_ZEROED,
    FAULTS
};
extern const char *const fault_name[FAULTS];

struct disk_list { /* of the log's calls */
    size_t *v, n, cap;
};
struct disk_file {
    uint8_t *p; /* as of the last sync */
    size_t n;
    struct disk_list open; /* writes and sizes since */
};
struct disk_name {
    const char *name;
    uint32_t file;
};
struct disk {
    const struct rec_log *log;
    size_t at; /* calls that were made */
    unsigned syncs;
    struct disk_file *file;
    struct disk_name *name; /* as of the folder's last sync */
    size_t nname;
    struct disk_list open; /* names made, changed, removed since */
};

/* Above 0: so many files' syncs from one that the disk does not hear to the next. */
extern unsigned disk_deaf;

/* Out of memory ends the program: it is a test. */
void disk_init(struct disk *d, const struct rec_log *log);
void disk_done(struct disk *d);
void disk_to(struct disk *d, size_t at); /* never back */
/* Makes `dir` hold an image and nothing else. */
void disk_image(const struct disk *d, enum fault fault, uint64_t seed, const char *dir);
/* Whether the files of dir are those of the log with everything kept: the recorder saw all. Says on
 * stderr what differs. */
bool disk_same(const struct disk *d, const char *dir);

#endif
