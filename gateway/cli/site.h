/* What the page shows that only whoever sees all rooms can tell it: `run` hands it in. */
#ifndef GATEWAY_CLI_SITE_H
#define GATEWAY_CLI_SITE_H

#include "gateway/cli/config.h"
#include "gateway/signer/signer.h"

struct cli_site {
    const struct cli_config *c;
    const struct clk *clk;
    atomic_llong writer_ms; /* monotonic: since when the writer is at one step; 0: it waits */
    struct collect_show_bus *bus;
    size_t buses;
};
/* Before the threads of the buses start: what is planned is reckoned now. All of it is borrowed,
 * and so is x by out. */
enum st cli_site_open(struct cli_site *x, const struct cli_config *c, const struct clk *clk,
                      const struct signer *signer, struct web_rooms *out,
                      struct err *e) ST_MUST_CHECK;
void cli_site_done(struct cli_site *x); /* takes a zeroed one */
/* A text as a QR code (SVG), appended to out: web_rooms.picture. ST_FULL: it is too long for one.
 */
enum st cli_site_picture(struct wire_span text, struct buf *out, struct err *e) ST_MUST_CHECK;

#endif
