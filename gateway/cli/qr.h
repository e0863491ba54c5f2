/* Private to the CLI: the proof of a day as a text, and that text as a QR code.
 *
 * The text is "FP1:GATEWAY:DAY:" and the signed control batch that holds nothing but the digest of
 * that day, in Base45 (RFC 9285), whose letters a QR code packs best. So it proves by itself, to
 * whom has the gateway's public key, what the gateway says of the day; gateway and day before it
 * are for people, and a verifier compares them. */
#ifndef GATEWAY_CLI_QR_H
#define GATEWAY_CLI_QR_H

#include <stdio.h>

#include "gateway/wire/wire.h"

#define QR_PROOF "FP1:"
#define QR_PROOF_MAX 2900 /* what a QR code holds */

/* Appends the text to out, without a NUL. */
enum st qr_proof_put(struct buf *out, const char *gw, int64_t day,
                     struct wire_span cose) ST_MUST_CHECK;
/* Takes a text apart, white space behind it left aside; the batch is appended to cose. ST_BAD: it
 * is no such text. Whether the batch is what the text says is for the caller to see. */
enum st qr_proof_read(struct wire_span text, char gw[65], int64_t *day, struct buf *cose,
                      struct err *e) ST_MUST_CHECK;

enum qr_form {
    QR_BLOCKS,  /* UTF-8 half blocks, light ones drawn: for a dark terminal */
    QR_COLOURS, /* the same with the colours said: for any terminal */
    QR_SVG,
    QR_PBM, /* a picture of 4 pixels a module, without compression, which every reader takes */
};
/* Draws the text with its quiet zone. ST_FULL: it is too long for a QR code. */
enum st qr_print(struct wire_span text, enum qr_form form, FILE *out, struct err *e) ST_MUST_CHECK;

/* For paper: tells each dark module of a square of *side modules, its quiet zone included, which
 * *side holds before the first. What dark returns beyond ST_OK ends it. */
typedef enum st qr_dark(void *ctx, int x, int y);
enum st qr_draw(const char *text, int *side, qr_dark *dark, void *ctx, struct err *e) ST_MUST_CHECK;

#endif
