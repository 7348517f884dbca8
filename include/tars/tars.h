/* libtars: umbrella header. See the single headers for ownership and thread rules. */
#ifndef TARS_TARS_H
#define TARS_TARS_H

#include <tars/error.h>
#include <tars/model.h>
#include <tars/request.h>
#include <tars/session.h>

#endif
