/* PBKDF2 (RFC 8018) for the passwords of people: Nettle's, whose SHA-256 takes the processor's
 * instructions (decision 0028). */
#include <nettle/pbkdf2.h>

#include "gateway/wire/wire_int.h"

void wire_password_hash(const char *password, const uint8_t *salt, size_t salt_n, unsigned rounds,
                        uint8_t out[WIRE_HASH_BYTES])
{
    pbkdf2_hmac_sha256(strlen(password), (const uint8_t *)password, rounds, salt_n, salt,
                       WIRE_HASH_BYTES, out);
}

bool wire_same(const uint8_t *a, const uint8_t *b, size_t n)
{
    unsigned differs = 0;

    for (size_t i = 0; i < n; i++)
        differs |= (unsigned)(a[i] ^ b[i]);
    return differs == 0;
}
