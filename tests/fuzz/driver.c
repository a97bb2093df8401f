/*
 * The part of libFuzzer that can be had without clang: runs an entry over
 * files, then over mutations of them for some seconds.  Sanitizers do the
 * judging.  Prints the seed: the same seed makes the same inputs, and with
 * FUZZ_LEAVE=FILE the input under way is left in that file.
 *
 *   fuzz_NAME SECONDS [SEED] FILE...
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

enum { FILES_MAX = 1024, INPUT_MAX = 1 << 17, MUTATIONS = 8 };

struct fuzz {
	uint8_t *files[FILES_MAX];
	size_t   sizes[FILES_MAX], n;
	uint64_t seed;
	uint8_t  input[INPUT_MAX];
	size_t   size;
};

static uint64_t
draw(struct fuzz *f, uint64_t below)
{
	f->seed = f->seed * 6364136223846793005ull + 1442695040888963407ull;
	return below == 0 ? 0 : (f->seed >> 33) % below;
}

static void
load(struct fuzz *f, const char *path)
{
	static uint8_t part[INPUT_MAX];
	FILE          *in = fopen(path, "rb");
	size_t         n = in != NULL ? fread(part, 1, sizeof part, in) : 0;

	if (in != NULL)
		fclose(in);
	if (f->n == FILES_MAX || (f->files[f->n] = malloc(n + 1)) == NULL)
		return;
	memcpy(f->files[f->n], part, n);
	f->sizes[f->n++] = n;
}

/* In a block of its exact size, so that a byte read beyond is seen. */
static void
run(struct fuzz *f)
{
	const char *leave = getenv("FUZZ_LEAVE");
	uint8_t    *exact = malloc(f->size > 0 ? f->size : 1);
	FILE       *out;

	if (exact == NULL)
		return;
	memcpy(exact, f->input, f->size);
	if (leave != NULL && (out = fopen(leave, "wb")) != NULL) {
		fwrite(exact, 1, f->size, out);
		fclose(out);
	}
	LLVMFuzzerTestOneInput(exact, f->size);
	free(exact);
}

/* Makes room for, or closes, n bytes at a place. */
static void
shift(struct fuzz *f, size_t at, size_t cut, size_t grow)
{
	if (at + cut > f->size || f->size - cut + grow > INPUT_MAX)
		return;
	memmove(f->input + at + grow, f->input + at + cut,
	    f->size - at - cut);
	f->size = f->size - cut + grow;
}

static void
put(struct fuzz *f, size_t at, const char *bytes, size_t n)
{
	if (f->size + n > INPUT_MAX)
		return;
	shift(f, at, 0, n);
	memcpy(f->input + at, bytes, n);
}

static void
mutate(struct fuzz *f)
{
	static const char *const words[] = { "{", "}", "[", "]", "\"", "\\",
		"null", "true", "-1", "0", "9223372036854775808", "1e999",
		"\\u0000", "\\ud800", "\xc0\x80", "\xff", "<@!", "&amp;",
		"\r\n", "0\r\n\r\n", "ffffffff", ":", ",", "{\"op\":0,\"d\":" };
	size_t at = draw(f, f->size + 1), n = draw(f, 16), from;
	const char *word = words[draw(f, sizeof words / sizeof *words)];

	switch (draw(f, 7)) {
	case 0:
		if (at < f->size)
			f->input[at] ^= (uint8_t)(1 << draw(f, 8));
		break;
	case 1:
		if (at < f->size)
			f->input[at] = (uint8_t)draw(f, 256);
		break;
	case 2:
		shift(f, at, n, 0);
		break;
	case 3:
		put(f, at, word, strlen(word));
		break;
	case 4: /* a piece of itself, elsewhere */
		from = draw(f, f->size);
		if (from + n <= f->size) {
			char piece[16];

			memcpy(piece, f->input + from, n);
			put(f, at, piece, n);
		}
		break;
	case 5:
		f->size = at;
		break;
	default: /* the end of another */
		from = draw(f, f->n);
		n = draw(f, f->sizes[from]);
		f->size = at;
		if (at + n <= INPUT_MAX) {
			memcpy(f->input + at, f->files[from] +
			    f->sizes[from] - n, n);
			f->size += n;
		}
		break;
	}
}

int
main(int argc, char *argv[])
{
	static struct fuzz f;
	double             seconds = argc > 1 ? atof(argv[1]) : 0;
	int                first = 2;
	uint64_t           runs = 0;
	time_t             end;

	f.seed = (uint64_t)time(NULL);
	if (argc > 2 && strspn(argv[2], "0123456789") == strlen(argv[2]))
		f.seed = strtoull(argv[first++], NULL, 10);
	for (int i = first; i < argc; i++)
		load(&f, argv[i]);
	if (argc < 3 || f.n == 0) {
		fprintf(stderr, "usage: %s SECONDS [SEED] FILE...\n", argv[0]);
		return 64;
	}
	printf("# seed %llu\n", (unsigned long long)f.seed);
	fflush(stdout);
	for (size_t i = 0; i < f.n; i++, runs++) {
		memcpy(f.input, f.files[i], f.size = f.sizes[i]);
		run(&f);
	}
	for (end = time(NULL) + (time_t)seconds; time(NULL) < end; runs++) {
		size_t i = draw(&f, f.n);

		memcpy(f.input, f.files[i], f.size = f.sizes[i]);
		for (size_t k = draw(&f, MUTATIONS) + 1; k > 0; k--)
			mutate(&f);
		run(&f);
	}
	for (size_t i = 0; i < f.n; i++)
		free(f.files[i]);
	printf("# %llu inputs\n", (unsigned long long)runs);
	return 0;
}
