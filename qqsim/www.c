/*
 * The chat page's files, built into the program.
 */
#include "sim.h"

#define EMBED(symbol, path)                                                  \
	__asm__(".pushsection .rodata\n"                                     \
	        ".balign 16\n"                                               \
	        ".globl " #symbol "\n" #symbol ":\n"                         \
	        ".incbin \"" path "\"\n"                                     \
	        ".globl " #symbol "_end\n" #symbol "_end:\n"                 \
	        ".byte 0\n"                                                  \
	        ".popsection\n");                                            \
	extern const char symbol[], symbol##_end[]

EMBED(www_index, "qqsim/www/index.html");
EMBED(www_style, "qqsim/www/chat.css");
EMBED(www_script, "qqsim/www/chat.js");
EMBED(www_show, "qqsim/www/show.js");
EMBED(www_icon, "qqsim/www/icon.svg");

static const struct {
	const char *path, *type, *from, *end;
} files[] = {
	{ "/", "text/html; charset=utf-8", www_index, www_index_end },
	{ "/chat.css", "text/css; charset=utf-8", www_style, www_style_end },
	{ "/chat.js", "text/javascript; charset=utf-8", www_script,
	    www_script_end },
	{ "/show.js", "text/javascript; charset=utf-8", www_show,
	    www_show_end },
	{ "/icon.svg", "image/svg+xml", www_icon, www_icon_end },
};

bool
www_on_request(struct exchange *x, const struct request *r)
{
	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		if (r->method != METHOD_GET ||
		    !slice_is(r->path, files[i].path))
			continue;
		exchange_answer(x, 200, files[i].type,
		    SLICE("Content-Security-Policy: default-src 'self'; "
		          "frame-ancestors 'none'; base-uri 'none'\r\n"
		          "X-Content-Type-Options: nosniff\r\n"
		          "Referrer-Policy: no-referrer\r\n"
		          "Cache-Control: no-cache\r\n"),
		    (struct slice){ files[i].from,
			(size_t)(files[i].end - files[i].from) });
		return true;
	}
	return false;
}
