/* Whether this machine has an NVIDIA driver and a device. Ownership: nothing is kept but the
 * loaded driver library. */
#ifndef RUNTIME_CUDA_PROBE_H
#define RUNTIME_CUDA_PROBE_H

#include "base/error.h"

/* UNAVAILABLE with the reason. Never OK in this version, which has no kernels for devices. */
tars_status cuda_probe(tars_error *err);

#endif
