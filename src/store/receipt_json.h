/* The text of a receipt. Reading is receipt_parse of receipt.h. Ownership: nothing is kept. */
#ifndef STORE_RECEIPT_JSON_H
#define STORE_RECEIPT_JSON_H

#include "base/json.h"
#include "store/receipt.h"

/* Writes the receipt in canonical form; without the signature it is the text that is signed.
 * *failed tells that the sink refused. */
void receipt_json_write(const receipt *r, bool with_signature, json_sink sink, void *context,
                        bool *failed);

#endif
