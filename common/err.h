/*
 * err: what can go wrong, as one enum; errors.def is its table.  errno,
 * CURLcode and OpenSSL's queue become one of these in the file that made the
 * call.
 */
#ifndef ERR_H
#define ERR_H

enum err {
	ERR_OK = 0,
#define ERROR(name, action, sentence) ERR_##name,
#include "errors.def"
#undef ERROR
	ERR_COUNT
};

enum err_action { ERR_RETRY, ERR_DROP, ERR_STOP };

/* "NETWORK"; "OK" for 0.  Static. */
const char *err_name(enum err);
/* One sentence without a full stop.  Static. */
const char *err_text(enum err);
enum err_action err_action(enum err);

#endif
