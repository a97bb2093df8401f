/*
 * An authority of our own and a certificate, kept over restarts while they
 * last.  The authority's key is forgotten at once, so that nobody can sign
 * anything else with it.
 */
#include "sim.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DAYS = 90 };

static bool
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX      ctx;
	X509_EXTENSION *ext;
	bool            ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static X509 *
cert_new(const char *name, EVP_PKEY *key)
{
	X509      *c = X509_new();
	X509_NAME *subject;
	uint64_t   serial;

	if (c == NULL || RAND_bytes((unsigned char *)&serial,
	        sizeof serial) != 1)
		goto fail;
	subject = X509_get_subject_name(c);
	if (X509_set_version(c, 2) != 1 ||
	    ASN1_INTEGER_set_uint64(X509_get_serialNumber(c),
	        serial >> 1) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(c), -3600) == NULL ||
	    X509_time_adj_ex(X509_getm_notAfter(c), DAYS, 0, NULL) == NULL ||
	    X509_set_pubkey(c, key) != 1 ||
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
	        (const unsigned char *)name, -1, -1, 0) != 1)
		goto fail;
	return c;
fail:
	X509_free(c);
	return NULL;
}

static X509 *
make_authority(EVP_PKEY *key)
{
	X509 *c = cert_new("qqsim authority", key);

	if (c != NULL && X509_set_issuer_name(c, X509_get_subject_name(c)) &&
	    extend(c, c, NID_basic_constraints, "critical,CA:TRUE") &&
	    extend(c, c, NID_key_usage, "critical,keyCertSign") &&
	    extend(c, c, NID_subject_key_identifier, "hash") &&
	    X509_sign(c, key, EVP_sha256()) > 0)
		return c;
	X509_free(c);
	return NULL;
}

static bool
is_address(const char *name)
{
	return strchr(name, ':') != NULL ||
	    strspn(name, "0123456789.") == strlen(name);
}

static X509 *
make_server(EVP_PKEY *key, X509 *authority, EVP_PKEY *authority_key,
    const char *name)
{
	X509 *c = cert_new("qqsim", key);
	char  names[512];

	snprintf(names, sizeof names, "DNS:localhost,IP:127.0.0.1,IP:::1,%s:%s",
	    is_address(name) ? "IP" : "DNS", name);
	if (c != NULL &&
	    X509_set_issuer_name(c, X509_get_subject_name(authority)) &&
	    extend(c, authority, NID_basic_constraints, "critical,CA:FALSE") &&
	    extend(c, authority, NID_ext_key_usage, "serverAuth") &&
	    extend(c, authority, NID_subject_alt_name, names) &&
	    extend(c, authority, NID_authority_key_identifier, "keyid") &&
	    X509_sign(c, authority_key, EVP_sha256()) > 0)
		return c;
	X509_free(c);
	return NULL;
}

/* One of the two as PEM into a file of the folder. */
static enum err
save(const char *dir, const char *name, X509 *cert, EVP_PKEY *key)
{
	BIO     *bio = BIO_new(BIO_s_secmem());
	char    *p = NULL;
	enum err e = ERR_NOMEM;
	long     n;

	if (bio != NULL && (cert != NULL
	        ? PEM_write_bio_X509(bio, cert)
	        : PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL,
	              NULL)) == 1 &&
	    (n = BIO_get_mem_data(bio, &p)) > 0)
		e = home_write(dir, name, (struct slice){ p, (size_t)n });
	BIO_free(bio);
	return e;
}

/* --- what the last run left -------------------------------------------------------------- */

static X509 *
read_cert(const char *path)
{
	BIO  *bio = BIO_new_file(path, "r");
	X509 *c = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return c;
}

static EVP_PKEY *
read_key(const char *path)
{
	BIO      *bio = BIO_new_file(path, "r");
	EVP_PKEY *k = bio != NULL
	    ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	return k;
}

static bool
is_for(X509 *cert, const char *name)
{
	return is_address(name) ? X509_check_ip_asc(cert, name, 0) == 1
	                        : X509_check_host(cert, name, 0, 0, NULL) == 1;
}

/* Still good: whoever read ca.pem from an earlier run goes on trusting us. */
static bool
is_kept(const char *ca, const char *cert, const char *key, const char *name)
{
	X509     *authority = read_cert(ca), *server = read_cert(cert);
	EVP_PKEY *k = read_key(key);
	time_t    soon = time(NULL) + DAYS / 2 * 86400;
	bool      good = authority != NULL && server != NULL && k != NULL &&
	    X509_verify(server, X509_get0_pubkey(authority)) == 1 &&
	    X509_check_private_key(server, k) == 1 && is_for(server, name) &&
	    X509_cmp_time(X509_get0_notAfter(server), &soon) > 0;

	X509_free(authority);
	X509_free(server);
	EVP_PKEY_free(k);
	ERR_clear_error();
	return good;
}

static enum err
make(const char *dir, const char *name)
{
	EVP_PKEY *authority_key = EVP_EC_gen("P-256");
	EVP_PKEY *server_key = EVP_EC_gen("P-256");
	X509     *authority = NULL, *server = NULL;
	enum err  e = ERR_TLS;

	if (authority_key != NULL && server_key != NULL &&
	    (authority = make_authority(authority_key)) != NULL &&
	    (server = make_server(server_key, authority, authority_key,
	         name)) != NULL &&
	    (e = save(dir, "ca.pem", authority, NULL)) == ERR_OK &&
	    (e = save(dir, "cert.pem", server, NULL)) == ERR_OK)
		e = save(dir, "key.pem", NULL, server_key);
	X509_free(authority);
	X509_free(server);
	EVP_PKEY_free(authority_key);
	EVP_PKEY_free(server_key);
	return e;
}

enum err
tls_make(const char *dir, const char *name, char **ca, char **cert,
    char **key)
{
	*ca = conf_path(dir, "ca.pem");
	*cert = conf_path(dir, "cert.pem");
	*key = conf_path(dir, "key.pem");
	if (*ca == NULL || *cert == NULL || *key == NULL)
		return ERR_NOMEM;
	return is_kept(*ca, *cert, *key, name) ? ERR_OK : make(dir, name);
}
