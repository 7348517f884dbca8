#include "runtime/cuda/probe.h"

#include "platform/platform.h"

#include <string.h>

/* Of the driver's interface: int results, 0 is success. */
typedef int (*cu_init)(unsigned flags);
typedef int (*cu_device_get_count)(int *count);

static tars_status unavailable(tars_error *err, const char *reason) {
    error_set(err, TARS_UNAVAILABLE, "runtime cuda is unavailable: %s", reason);
    return error_hint(err, "use --runtime native");
}

tars_status cuda_probe(tars_error *err) {
    platform_library driver;
    tars_error why;
    if (platform_library_open("libcuda.so.1", &driver, &why) != TARS_OK) {
        unavailable(err, "no driver (libcuda.so.1)");
        return error_cause(err, "%s", why.cause);
    }
    void *init_symbol = platform_library_symbol(&driver, "cuInit");
    void *count_symbol = platform_library_symbol(&driver, "cuDeviceGetCount");
    cu_init init = NULL;
    cu_device_get_count get_count = NULL;
    memcpy(&init, &init_symbol, sizeof init);
    memcpy(&get_count, &count_symbol, sizeof get_count);
    int count = 0;
    if (!init || !get_count) {
        return unavailable(err, "the driver lacks cuInit or cuDeviceGetCount");
    }
    if (init(0) != 0 || get_count(&count) != 0 || count == 0) {
        return unavailable(err, "the driver finds no device");
    }
    return unavailable(err, "this version has no kernels for devices");
}
