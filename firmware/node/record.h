/* Something small that must survive a power cut, in a ring of slots of the EEPROM.
 *
 * A save writes the next slot, never the one that holds the newest record, and the CRC last. So
 * whatever a cut leaves behind, at the next start the newest record that is whole is either the one
 * before or the new one, never a mix. Each slot has pages of its own, for a torn page loses all
 * that is in it. What was written is read back; a slot that did not keep it is passed over.
 *
 * As stored: the number of the record (u32), kind and length (u16 each), the data, CRC-32 of all
 * that; little endian, as every processor that we have. Shorter and longer data of another version
 * is read as far as both go: versions only append.
 *
 * Every call asks the memory for one transfer of at most RECORD_CHUNK bytes. One thread. */
#ifndef FIRMWARE_RECORD_H
#define FIRMWARE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "firmware/port.h"

#define RECORD_CHUNK 16U        /* bytes: 2 ms of a bus of 100 kbit/s */
#define RECORD_OVERHEAD 12U     /* bytes beside the data */
#define RECORD_SLOTS_MAX 64U    /* what a start has to read */
#define RECORD_TRIES 3U         /* slots that are tried for one save */
#define RECORD_PATIENCE_MS 500  /* how long a memory may be busy */
#define RECORD_AGAIN_MS 3600000 /* after a save that failed */

enum record_phase { RECORD_IDLE, RECORD_WRITING, RECORD_READING };

struct record {
    /* set by record_place and the owner */
    uint32_t base;
    uint16_t stride, slots, chunk; /* bytes; 0 slots: there is no memory */
    uint16_t kind, size;           /* of the data */
    uint8_t *data;
    /* its own */
    enum record_phase phase;
    bool dirty, failed;      /* is to be saved; the last save was given up */
    uint16_t newest, target; /* slots; newest == slots: none */
    uint16_t pos, tries;
    uint32_t seq, used; /* numbers: of the newest, and the last that was given */
    uint32_t crc;
    uint32_t moved_ms; /* when the memory last did something */
    uint16_t faults;   /* slots that did not keep what was written */
};

/* Lays slots of at least room bytes into memory from `base` to `end`, at most `most` of them; gives
 * where the next thing may begin. Fewer than two slots: none. page: a power of two from 8 on. */
uint32_t record_place(struct record *r, uint32_t base, uint32_t end, uint32_t page, uint32_t room,
                      unsigned most);
/* Reads the newest whole record into data, once, at the start; it waits for the memory. false:
 * there is none, and data is not to be used. */
bool record_load(struct record *r);
/* The data has changed: it is saved, anew if a save is under way. It must not change without. */
void record_save(struct record *r);
/* One step of a save. Whether it used the memory. */
bool record_turn(struct record *r, uint32_t now_ms);
/* Nothing is to be saved. */
bool record_idle(const struct record *r);

#endif
