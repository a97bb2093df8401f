// links: gatewayd/normal.c gatewayd/extra.c gatewayd/payload.c common
/*
 * normal: each sample of a platform event against what handlers are to see,
 * by hand from the platform's pages; then events that lack things, have them
 * in other types, or were made by somebody with bad intentions.
 */
#include "test.h"

#include <dirent.h>
#include <stdlib.h>

#include "extra.h"
#include "normal.h"

#define ROWS(a) (sizeof(a) / sizeof *(a))

#define U "0A1B2C3D4E5F60718293A4B5C6D7E8F1"    /* a user */
#define G "3D4E5F60718293A4B5C6D7E8F10A1B2C"    /* a group */
#define M "1B2C3D4E5F60718293A4B5C6D7E8F10A"    /* its member */
#define N "2C3D4E5F60718293A4B5C6D7E8F10A1B"    /* another */
#define P "1440000000000000001"                 /* a person in a guild */
#define S "4700000000000000001"                 /* the guild */
#define C "1600001"                             /* its channel */
#define BOT "9000000000000000001"               /* the bot's user id there */

static const int64_t now_ms = 1767300000000;

static const struct normal_rules rules = { 3600000, 300000, 4, 5 };

/* --- the samples -------------------------------------------------------------- */

/* reply: M by message, E by event, - none.  at: ms, 0 = on arrival. */
struct sample {
	const char *file, *type, *conv, *user, *id, *text;
	char        reply;
	bool        to_me;
	int64_t     at;
	const char *attachments, *mentions, *quote;
	const char *name, *role, *data;     /* data: of a message */
};

#define NOTICE(file, type, conv, user, id, reply, at)                        \
	{ file, type, conv, user, id, NULL, reply, false, at, NULL, NULL,    \
	  NULL, NULL, NULL, NULL }
#define NAMED(file, type, conv, user, id, reply, at, name)                   \
	{ file, type, conv, user, id, NULL, reply, false, at, NULL, NULL,    \
	  NULL, name, NULL, NULL }

#define TESTBOT                                                              \
	"[{\"user\":\"" BOT "\",\"name\":\"testbot\",\"bot\":true,"          \
	"\"all\":false,\"me\":true}]"

#define SENT 1767294245000

#define PLAIN "{\"ref\":\"REFIDX_AAAA\",\"scene\":\"default\"}"
#define GROUP "{\"ref\":\"REFIDX_EEEE\",\"scene\":\"default\"}"
#define GUILD "{\"guild\":\"" S "\",\"roles\":[\"1\"]}"

static const struct sample samples[] = {
	{ "c2c_message_create", "message.c2c", "u:" U, U,
	  "m:ROBOT1.0_c2csynthetic0046", "hello", 'M', true, SENT, NULL, NULL,
	  NULL,
	  NULL, NULL, PLAIN },
	{ "c2c_message_create_minimal", "message.c2c", "u:" U, U,
	  "m:ROBOT1.0_c2cmin", "123", 'M', true, SENT, NULL, NULL, NULL,
	  NULL, NULL, NULL },
	{ "c2c_message_create_image", "message.c2c", "u:" U, U,
	  "m:ROBOT1.0_c2csynthetic0048", "", 'M', true, SENT,
	  "[{\"kind\":\"image\","
	  "\"url\":\"https://multimedia.example.invalid/download?x=1\","
	  "\"mime\":\"image/png\",\"name\":\"p.png\",\"size\":4096,"
	  "\"w\":200,\"h\":100}]", NULL, NULL,
	  NULL, NULL, PLAIN },
	{ "c2c_message_create_voice", "message.c2c", "u:" U, U,
	  "m:ROBOT1.0_c2csynthetic0049", "", 'M', true, SENT,
	  "[{\"kind\":\"audio\","
	  "\"url\":\"https://grouptalk.example.invalid/v.silk\","
	  "\"mime\":\"voice\",\"name\":\"v.amr\",\"size\":2048,"
	  "\"wav\":\"https://grouptalk.example.invalid/v.wav\","
	  "\"text\":\"spoken words\"}]", NULL, NULL,
	  NULL, NULL, PLAIN },
	{ "c2c_message_create_file", "message.c2c", "u:" U, U,
	  "m:ROBOT1.0_c2csynthetic0050", "", 'M', true, SENT,
	  "[{\"kind\":\"file\","
	  "\"url\":\"https://njc-download.example.invalid/f\","
	  "\"mime\":\"file\",\"name\":\"doc.pdf\",\"size\":9999}]", NULL,
	  NULL,
	  NULL, NULL, PLAIN },
	{ "c2c_message_create_quote", "message.c2c", "u:" U, U,
	  "m:ROBOT1.0_c2csynthetic0051", "what about this", 'M', true, SENT,
	  NULL, NULL,
	  "{\"msg\":\"REFIDX_BBBB\",\"text\":\"quoted text\",\"user\":\"" U
	  "\",\"attachments\":[{\"kind\":\"image\","
	  "\"url\":\"https://example.invalid/q.jpg\","
	  "\"mime\":\"image/jpeg\",\"name\":\"q.jpg\",\"size\":10,"
	  "\"w\":1,\"h\":1}]}",
	  NULL, NULL, "{\"type\":103,\"ref\":\"REFIDX_CCCC\",\"scene\":\"default\"}" },
	{ "c2c_message_create_ark", "message.c2c", "u:" U, U,
	  "m:ROBOT1.0_c2csynthetic0052", "[card]", 'M', true, SENT, NULL,
	  NULL, NULL,
	  NULL, NULL, "{\"type\":3,\"ref\":\"REFIDX_AAAA\",\"scene\":\"default\","
	  "\"ark\":{\"prompt\":\"[share] title\",\"ark_type\":\"tuwen\","
	  "\"ark_name\":\"com.example.tuwen\",\"fields\":{\"title\":\"t\","
	  "\"desc\":\"d\",\"url\":\"https://example.invalid\"}}}" },
	{ "c2c_message_create_record", "message.c2c", "u:" U, U,
	  "m:ROBOT1.0_c2csynthetic0053", "[chat record]", 'M', true, SENT,
	  NULL, NULL, NULL,
	  NULL, NULL, "{\"type\":102,\"ref\":\"REFIDX_AAAA\",\"scene\":\"default\","
	  "\"record\":[{\"msg\":\"REFIDX_D1\",\"name\":\"a\","
	  "\"text\":\"line 1\"},{\"msg\":\"REFIDX_D2\",\"name\":\"b\","
	  "\"text\":\"line 2\",\"record\":[{\"text\":\"nested\"}]}]}" },
	{ "c2c_message_create_face", "message.c2c", "u:" U, U,
	  "m:ROBOT1.0_c2csynthetic0054",
	  "[\xe5\xbe\xae\xe7\xac\x91] hi",
	  'M', true, SENT, NULL, NULL, NULL,
	  NULL, NULL, PLAIN },

	{ "group_at_message_create", "message.group", "g:" G, M,
	  "m:ROBOT1.0_grpsynthetic0055", "hello", 'M', true, SENT, NULL,
	  "[{\"user\":\"5F60718293A4B5C6D7E8F10A1B2C3D4E\","
	  "\"name\":\"testbot\",\"bot\":true,\"all\":false,\"me\":true}]",
	  NULL,
	  "tester", "member", GROUP },
	{ "group_at_message_create_minimal", "message.group", "g:" G, M,
	  "m:ROBOT1.0_grpmin", "123", 'M', true, SENT, NULL, NULL, NULL,
	  NULL, NULL, NULL },
	{ "group_at_message_create_oddtime", "message.group", "g:" G, M,
	  "m:ROBOT1.0_grpsynthetic0057", "x", 'M', true, SENT + 123, NULL,
	  NULL, NULL,
	  "tester", "member", GROUP },
	{ "group_at_message_create_image", "message.group", "g:" G, M,
	  "m:ROBOT1.0_grpsynthetic0058", "", 'M', true, SENT,
	  "[{\"kind\":\"image\","
	  "\"url\":\"https://multimedia.example.invalid/g\","
	  "\"mime\":\"image/jpeg\",\"name\":\"g.jpg\",\"size\":1000,"
	  "\"w\":480,\"h\":640}]", NULL, NULL,
	  "tester", "member", GROUP },
	{ "group_message_create", "message.group", "g:" G, M,
	  "m:ROBOT1.0_grpsynthetic0059", "<@" N "> plain group talk", 'M',
	  false, SENT, NULL,
	  "[{\"user\":\"" N "\",\"name\":\"other\",\"bot\":false,"
	  "\"all\":false,\"me\":false}]", NULL,
	  "tester", "member", GROUP },
	{ "group_message_create_all", "message.group", "g:" G, M,
	  "m:ROBOT1.0_grpsynthetic0060", "@everyone notice", 'M', false, SENT,
	  NULL, "[{\"bot\":false,\"all\":true,\"me\":false}]", NULL,
	  "tester", "member", GROUP },
	{ "group_message_create_frombot", "message.group", "g:" G, N,
	  "m:ROBOT1.0_grpsynthetic0061", "beep", 'M', false, SENT, NULL, NULL,
	  NULL,
	  "otherbot", "member", GROUP },

	{ "at_message_create", "message.guild", "c:" C, P,
	  "m:08synthetic00000011", "hello <b> &", 'M', true, SENT, NULL,
	  TESTBOT, NULL,
	  "tt", NULL, GUILD },
	{ "at_message_create_attachment", "message.guild", "c:" C, P,
	  "m:08synthetic00000012", "look", 'M', true, SENT,
	  "[{\"kind\":\"image\","
	  "\"url\":\"https://gchat.example.invalid/a.png\","
	  "\"mime\":\"image/png\",\"name\":\"a.png\",\"size\":300,"
	  "\"w\":20,\"h\":10}]", TESTBOT,
	  "{\"msg\":\"08synthetic00000001\"}",
	  "tt", NULL, GUILD },
	{ "at_message_create_minimal", "message.guild", "c:" C, P, "m:08min",
	  "", 'M', true, 0, NULL, NULL, NULL,
	  "u", NULL, "{\"guild\":\"" S "\"}" },
	{ "message_create", "message.guild", "c:" C, P,
	  "m:08synthetic00000014", "plain text <#1600001> <emoji:4> @everyone",
	  'M', false, SENT, NULL,
	  "[{\"bot\":false,\"all\":true,\"me\":false}]", NULL,
	  "tt", NULL, GUILD },
	{ "direct_message_create", "message.dm", "d:1870000000000000001", P,
	  "m:08synthetic00000015", "hi bot", 'M', true, SENT, NULL, NULL,
	  NULL,
	  "tt", NULL, GUILD },

	NOTICE("message_delete", "guild.recall", "c:" C, P,
	    "MESSAGE_DELETE:synthetic0017", '-', 0),
	NOTICE("public_message_delete", "guild.recall", "c:" C, P,
	    "PUBLIC_MESSAGE_DELETE:synthetic0018", '-', 0),
	NOTICE("direct_message_delete", "dm.recall", "d:1870000000000000001",
	    P, "DIRECT_MESSAGE_DELETE:synthetic0019", '-', 0),
	NOTICE("message_reaction_add", "reaction.add", "c:" C, P,
	    "MESSAGE_REACTION_ADD:synthetic0020", 'E', 0),
	NOTICE("message_reaction_add_typestring", "reaction.add", "c:" C, P,
	    "MESSAGE_REACTION_ADD:synthetic0022", 'E', 0),
	NOTICE("message_reaction_remove", "reaction.remove", "c:" C, P,
	    "MESSAGE_REACTION_REMOVE:synthetic0021", 'E', 0),
	NOTICE("message_audit_pass", "audit.pass", "c:" C, "",
	    "MESSAGE_AUDIT_PASS:synthetic0045", '-', SENT),
	NOTICE("message_audit_reject", "audit.reject", "c:" C, "",
	    "MESSAGE_AUDIT_REJECT:synthetic0046", '-', SENT),

	NOTICE("interaction_create_c2c", "interaction", "u:" U, U,
	    "INTERACTION_CREATE:synthetic0079", 'E', SENT),
	NOTICE("interaction_create_group", "interaction", "g:" G, M,
	    "INTERACTION_CREATE:synthetic0080", 'E', SENT),
	NOTICE("interaction_create_guild", "interaction", "c:" C, P,
	    "INTERACTION_CREATE:synthetic0081", 'E', SENT),
	NOTICE("interaction_create_menu", "interaction", "u:" U, U,
	    "INTERACTION_CREATE:synthetic0082", 'E', SENT),
	NOTICE("interaction_create_feedback", "interaction", "u:" U, U,
	    "INTERACTION_CREATE:synthetic0083", 'E', SENT),
	NOTICE("interaction_create_clear_session", "interaction", "u:" U, U,
	    "INTERACTION_CREATE:synthetic0084", 'E', SENT),
	NOTICE("interaction_create_authorize_user", "interaction", "u:" U, U,
	    "INTERACTION_CREATE:synthetic0085", 'E', SENT),
	NOTICE("interaction_create_authorize_group", "interaction", "g:" G, M,
	    "INTERACTION_CREATE:synthetic0086", 'E', SENT),
	NOTICE("interaction_create_config_query", "interaction", "u:" U, U,
	    "INTERACTION_CREATE:synthetic0087", 'E', SENT),

	NOTICE("friend_add", "friend.add", "u:" U, U,
	    "FRIEND_ADD:synthetic0063", 'E', SENT),
	NOTICE("friend_add_stringts", "friend.add", "u:" U, U,
	    "FRIEND_ADD:synthetic0064", 'E', SENT),
	NOTICE("friend_del", "friend.del", "u:" U, U,
	    "FRIEND_DEL:synthetic0065", '-', SENT),
	NOTICE("c2c_msg_reject", "friend.push_off", "u:" U, U,
	    "C2C_MSG_REJECT:synthetic0066", '-', SENT),
	NOTICE("c2c_msg_receive", "friend.push_on", "u:" U, U,
	    "C2C_MSG_RECEIVE:synthetic0067", 'E', SENT),
	NOTICE("enter_aio", "friend.enter", "u:" U, U,
	    "ENTER_AIO:synthetic0078", '-', 0),
	NOTICE("subscribe_message_status", "subscribe", "u:" U, U,
	    "SUBSCRIBE_MESSAGE_STATUS:synthetic0076", '-', 0),
	NOTICE("subscribe_message_status_group", "subscribe", "g:" G, "",
	    "SUBSCRIBE_MESSAGE_STATUS:synthetic0077", '-', 0),

	NOTICE("group_add_robot", "group.join", "g:" G, M,
	    "GROUP_ADD_ROBOT:synthetic0068", 'E', SENT),
	NOTICE("group_del_robot", "group.leave", "g:" G, M,
	    "GROUP_DEL_ROBOT:synthetic0069", '-', SENT),
	NOTICE("group_msg_reject", "group.push_off", "g:" G, M,
	    "GROUP_MSG_REJECT:synthetic0070", '-', SENT),
	NOTICE("group_msg_receive", "group.push_on", "g:" G, M,
	    "GROUP_MSG_RECEIVE:synthetic0071", 'E', SENT),
	NOTICE("group_member_add", "group.member_add", "g:" G, N,
	    "GROUP_MEMBER_ADD:synthetic0072", 'E', SENT),
	NOTICE("group_member_remove", "group.member_remove", "g:" G, N,
	    "GROUP_MEMBER_REMOVE:synthetic0073", '-', SENT),
	NAMED("group_join_request", "group.request", "g:" G, N,
	    "GROUP_JOIN_REQUEST:synthetic0074", '-', SENT,
	    "newcomer"),
	NAMED("group_join_request_invited", "group.request", "g:" G, N,
	    "GROUP_JOIN_REQUEST:synthetic0075", '-', SENT,
	    "guest"),

	NOTICE("guild_create", "guild.join", "s:" S, P,
	    "GUILD_CREATE:synthetic0003", '-', 0),
	NOTICE("guild_update", "guild.update", "s:" S, P,
	    "GUILD_UPDATE:synthetic0004", '-', 0),
	NOTICE("guild_delete", "guild.leave", "s:" S, P,
	    "GUILD_DELETE:synthetic0005", '-', 0),
	NOTICE("channel_create", "channel.create", "c:" C, P,
	    "CHANNEL_CREATE:synthetic0006", '-', 0),
	NOTICE("channel_update", "channel.update", "c:" C, P,
	    "CHANNEL_UPDATE:synthetic0007", '-', 0),
	NOTICE("channel_delete", "channel.delete", "c:" C, P,
	    "CHANNEL_DELETE:synthetic0008", '-', 0),
	NAMED("guild_member_add", "guild.member_add", "s:" S, P,
	    "GUILD_MEMBER_ADD:synthetic0009", 'E', 0, "tester"),
	NAMED("guild_member_update", "guild.member_update", "s:" S, P,
	    "GUILD_MEMBER_UPDATE:synthetic0010", 'E', 0, "tester"),
	NAMED("guild_member_remove", "guild.member_remove", "s:" S, P,
	    "GUILD_MEMBER_REMOVE:synthetic0011", 'E', 0, "tester"),
	NOTICE("audio_start", "audio.start", "c:" C, "",
	    "AUDIO_START:synthetic0039", '-', 0),
	NOTICE("audio_finish", "audio.finish", "c:" C, "",
	    "AUDIO_FINISH:synthetic0040", '-', 0),
	NOTICE("audio_on_mic", "audio.on_mic", "c:" C, "",
	    "AUDIO_ON_MIC:synthetic0041", '-', 0),
	NOTICE("audio_off_mic", "audio.off_mic", "c:" C, "",
	    "AUDIO_OFF_MIC:synthetic0042", '-', 0),
	NOTICE("audio_or_live_channel_member_enter", "channel.enter", "c:" C,
	    P, "AUDIO_OR_LIVE_CHANNEL_MEMBER_ENTER:synthetic0043", '-', 0),
	NOTICE("audio_or_live_channel_member_exit", "channel.exit", "c:" C, P,
	    "AUDIO_OR_LIVE_CHANNEL_MEMBER_EXIT:synthetic0044", '-', 0),

	NOTICE("forum_thread_create", "forum.thread_create", "c:" C, P,
	    "FORUM_THREAD_CREATE:synthetic0023", 'E', SENT),
	NOTICE("forum_thread_update", "forum.thread_update", "c:" C, P,
	    "FORUM_THREAD_UPDATE:synthetic0024", 'E', SENT),
	NOTICE("forum_thread_delete", "forum.thread_delete", "c:" C, P,
	    "FORUM_THREAD_DELETE:synthetic0025", 'E', SENT),
	/* ids as JSON numbers beyond 2^53 */
	NOTICE("forum_thread_create_numbers", "forum.thread_create", "c:" C,
	    "144000000000000001", "FORUM_THREAD_CREATE:synthetic0026", 'E', SENT),
	NOTICE("forum_post_create", "forum.post_create", "c:" C, P,
	    "FORUM_POST_CREATE:synthetic0027", 'E', SENT),
	NOTICE("forum_post_delete", "forum.post_delete", "c:" C, P,
	    "FORUM_POST_DELETE:synthetic0028", 'E', SENT),
	NOTICE("forum_reply_create", "forum.reply_create", "c:" C, P,
	    "FORUM_REPLY_CREATE:synthetic0029", 'E', SENT),
	NOTICE("forum_reply_delete", "forum.reply_delete", "c:" C, P,
	    "FORUM_REPLY_DELETE:synthetic0030", 'E', SENT),
	NOTICE("forum_publish_audit_result", "forum.audit", "c:" C, P,
	    "FORUM_PUBLISH_AUDIT_RESULT:synthetic0031", '-', SENT),
	NOTICE("open_forum_thread_create", "forum.thread_create", "c:" C, P,
	    "OPEN_FORUM_THREAD_CREATE:synthetic0032", '-', 0),
	NOTICE("open_forum_thread_update", "forum.thread_update", "c:" C, P,
	    "OPEN_FORUM_THREAD_UPDATE:synthetic0033", '-', 0),
	NOTICE("open_forum_thread_delete", "forum.thread_delete", "c:" C, P,
	    "OPEN_FORUM_THREAD_DELETE:synthetic0034", '-', 0),
	NOTICE("open_forum_post_create", "forum.post_create", "c:" C, P,
	    "OPEN_FORUM_POST_CREATE:synthetic0035", '-', 0),
	NOTICE("open_forum_post_delete", "forum.post_delete", "c:" C, P,
	    "OPEN_FORUM_POST_DELETE:synthetic0036", '-', 0),
	NOTICE("open_forum_reply_create", "forum.reply_create", "c:" C, P,
	    "OPEN_FORUM_REPLY_CREATE:synthetic0037", '-', 0),
	NOTICE("open_forum_reply_delete", "forum.reply_delete", "c:" C, P,
	    "OPEN_FORUM_REPLY_DELETE:synthetic0038", '-', 0),
	NOTICE("some_future_event", "raw.SOME_FUTURE_EVENT", "b:102000001", "",
	    "SOME_FUTURE_EVENT:synthetic0088", 'E', 0),
};

static bool
read_sample(const char *file, struct buf *out)
{
	char   path[512], part[4096];
	FILE  *f;
	size_t n;

	snprintf(path, sizeof path, "tests/fixtures/%s", file);
	if ((f = fopen(path, "r")) == NULL)
		return false;
	while ((n = fread(part, 1, sizeof part, f)) > 0)
		buf_put(out, (struct slice){ part, n });
	fclose(f);
	return !out->failed;
}

static struct normal_context
context(const char *user, const char *shard)
{
	return (struct normal_context){ .rules = &rules, .bot = "102000001",
		.user = user, .shard = shard, .now_ms = now_ms };
}

/* Compares MessagePack with the JSON it is to be; want NULL: nothing. */
static void
expect_packed(const char *what, struct slice packed, const char *want)
{
	struct json *j = NULL;
	enum err     e = ERR_OK;

	if (packed.n > 0)
		e = json_from_msgpack(&j, packed);
	if (e != ERR_OK || (packed.n > 0) != (want != NULL) ||
	    (want != NULL && !slice_is(json_print(j), want))) {
		printf("# %s: %.*s\n", what, (int)json_print(j).n,
		    json_print(j).p);
		test_bad = true;
	}
	json_free(&j);
}

/* The text is this value, however it is written. */
static void
expect_json(struct slice text, const struct json *want)
{
	struct json *j = NULL;

	EXPECT(json_parse(&j, text) == ERR_OK);
	EXPECT(slice_eq(json_print(j), json_print(want)));
	json_free(&j);
}

static void
expect_reply(const struct sample *s, const struct msg_event *ev,
    const struct payload *p)
{
	bool c2c = slice_starts(ev->conv, SLICE("u:"));
	bool group = slice_starts(ev->conv, SLICE("g:"));

	EXPECT(slice_eq(ev->event, p->id));
	EXPECT(slice_eq(ev->msg, s->text != NULL ? json_text_at(p->d, "id")
	                                         : (struct slice){ NULL, 0 }));
	EXPECT((s->reply == 'M') == (ev->msg.n > 0));
	if (s->reply == '-') {
		EXPECT_INT(ev->deadline, 0);
		EXPECT_INT(ev->replies_left, 0);
		return;
	}
	EXPECT_INT(ev->deadline, now_ms + (c2c ? 3600000 : 300000));
	EXPECT_INT(ev->replies_left, c2c ? 4 : group ? 5 : 100);
}

static void
one_sample(const struct sample *s)
{
	struct normal_context ctx = context(BOT, "0/1");
	struct normal_scratch scratch = { 0 };
	struct buf            text = { 0 };
	struct payload        p = { 0 };
	struct msg_event      ev;
	char                  file[128], id[256];
	bool                  before = test_bad;

	test_bad = false;
	snprintf(file, sizeof file, "%s.json", s->file);
	EXPECT(read_sample(file, &text));
	EXPECT(payload_parse(&p, buf_slice(&text)) == ERR_OK);
	EXPECT(normal_event(&p, &ctx, &scratch, &ev) == ERR_OK);
	EXPECT_INT(ev.attempt, 1);
	EXPECT_SLICE(ev.bot, "102000001");
	EXPECT_SLICE(ev.shard, "0/1");
	EXPECT_SLICE(ev.type, s->type);
	EXPECT_SLICE(ev.conv, s->conv);
	EXPECT_SLICE(ev.user, s->user);
	snprintf(id, sizeof id, "%s@102000001/%s", s->id, s->conv);
	EXPECT_SLICE(ev.id, id);
	EXPECT_SLICE(ev.name, s->name != NULL ? s->name : "");
	EXPECT_SLICE(ev.role, s->role != NULL ? s->role : "");
	EXPECT_SLICE(ev.text, s->text != NULL ? s->text : "");
	EXPECT_INT(ev.to_me, s->to_me);
	EXPECT_INT(ev.from_bot, strstr(s->file, "frombot") != NULL);
	EXPECT_INT(ev.time, s->at != 0 ? s->at : now_ms);
	expect_reply(s, &ev, &p);
	expect_packed("attachments", ev.attachments, s->attachments);
	expect_packed("mentions", ev.mentions, s->mentions);
	expect_packed("quote", ev.quote, s->quote);
	/* what is no message is handed on whole, and raw as it came */
	expect_packed("data", ev.data,
	    s->text != NULL ? s->data : json_print(p.d).p);
	expect_json(ev.raw, p.d);
	if (test_bad)
		printf("# in %s\n", s->file);
	test_bad |= before;
	payload_free(&p);
	normal_free(&scratch);
	buf_free(&text);
}

TEST(each_sample_becomes_what_handlers_are_to_see)
{
	for (size_t i = 0; i < ROWS(samples); i++)
		one_sample(&samples[i]);
}

static const struct sample *
sample_of(const char *file)
{
	size_t n = strlen(file);

	for (size_t i = 0; i < ROWS(samples); i++)
		if (n == strlen(samples[i].file) + 5 &&
		    strncmp(file, samples[i].file, n - 5) == 0)
			return &samples[i];
	return NULL;
}

static bool
is_frame(const char *file)
{
	return strncmp(file, "req_", 4) != 0 &&
	    strncmp(file, "rest_", 5) != 0 &&
	    strcmp(file, "op_callback_validation_reply.json") != 0;
}

/* No sample without a row; and what is no dispatch does no harm. */
TEST(no_sample_is_left_out)
{
	DIR           *dir = opendir("tests/fixtures");
	struct dirent *entry;
	size_t         dispatches = 0, others = 0;

	EXPECT(dir != NULL);
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		struct buf     text = { 0 };
		struct payload p = { 0 };
		enum err       e;

		if (strstr(entry->d_name, ".json") == NULL)
			continue;
		EXPECT(read_sample(entry->d_name, &text));
		e = payload_parse(&p, buf_slice(&text));
		EXPECT(e == ERR_OK || e == ERR_SYNTAX);
		if (e == ERR_OK && p.op == OP_DISPATCH &&
		    !normal_is_session(p.type)) {
			if (sample_of(entry->d_name) == NULL)
				printf("# no row for %s\n", entry->d_name);
			EXPECT(sample_of(entry->d_name) != NULL);
			dispatches++;
		} else {
			/* REST bodies have no opcode: they are no frames */
			EXPECT((e == ERR_OK) == is_frame(entry->d_name));
			others++;
		}
		payload_free(&p);
		buf_free(&text);
	}
	if (dir != NULL)
		closedir(dir);
	EXPECT_INT(dispatches, ROWS(samples));
	EXPECT_INT(dispatches + others, 143);
}

/* --- the table -------------------------------------------------------------------- */

TEST(each_event_of_the_platform_has_a_row)
{
	static const char *const names[] = { "GUILD_CREATE", "GUILD_UPDATE",
		"GUILD_DELETE", "CHANNEL_CREATE", "CHANNEL_UPDATE",
		"CHANNEL_DELETE", "GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE",
		"GUILD_MEMBER_REMOVE", "MESSAGE_CREATE", "MESSAGE_DELETE",
		"MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE",
		"DIRECT_MESSAGE_CREATE", "DIRECT_MESSAGE_DELETE",
		"OPEN_FORUM_THREAD_CREATE", "OPEN_FORUM_THREAD_UPDATE",
		"OPEN_FORUM_THREAD_DELETE", "OPEN_FORUM_POST_CREATE",
		"OPEN_FORUM_POST_DELETE", "OPEN_FORUM_REPLY_CREATE",
		"OPEN_FORUM_REPLY_DELETE",
		"AUDIO_OR_LIVE_CHANNEL_MEMBER_ENTER",
		"AUDIO_OR_LIVE_CHANNEL_MEMBER_EXIT", "ENTER_AIO",
		"GROUP_MEMBER_ADD", "GROUP_MEMBER_REMOVE",
		"GROUP_JOIN_REQUEST", "C2C_MESSAGE_CREATE",
		"GROUP_AT_MESSAGE_CREATE", "GROUP_MESSAGE_CREATE",
		"FRIEND_ADD", "FRIEND_DEL", "C2C_MSG_REJECT",
		"C2C_MSG_RECEIVE", "GROUP_ADD_ROBOT", "GROUP_DEL_ROBOT",
		"GROUP_MSG_REJECT", "GROUP_MSG_RECEIVE",
		"SUBSCRIBE_MESSAGE_STATUS", "INTERACTION_CREATE",
		"MESSAGE_AUDIT_PASS", "MESSAGE_AUDIT_REJECT",
		"FORUM_THREAD_CREATE", "FORUM_THREAD_UPDATE",
		"FORUM_THREAD_DELETE", "FORUM_POST_CREATE",
		"FORUM_POST_DELETE", "FORUM_REPLY_CREATE",
		"FORUM_REPLY_DELETE", "FORUM_PUBLISH_AUDIT_RESULT",
		"AUDIO_START", "AUDIO_FINISH", "AUDIO_ON_MIC",
		"AUDIO_OFF_MIC", "AT_MESSAGE_CREATE",
		"PUBLIC_MESSAGE_DELETE" };
	const struct normal_row *rows;
	size_t                   n = normal_rows(&rows);

	for (size_t i = 0; i < ROWS(names); i++)
		EXPECT_STR(normal_row(slice_of(names[i]))->name, names[i]);
	EXPECT_INT(n, ROWS(names) + 1);
	EXPECT_STR(rows[n - 1].name, "");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			EXPECT(strcmp(rows[i].name, rows[k].name) != 0);
	EXPECT(normal_is_session(SLICE("READY")));
	EXPECT(normal_is_session(SLICE("RESUMED")));
	EXPECT(!normal_is_session(SLICE("READY2")));
}

/* --- by hand ------------------------------------------------------------------------ */

/* An event and how it came out; loans until the next call. */
struct made {
	struct payload        p;
	struct normal_scratch scratch;
	struct msg_event      ev;
};

static void
make(struct made *m, const char *frame, const char *user)
{
	struct normal_context ctx = context(user, "webhook");

	payload_free(&m->p);
	EXPECT(payload_parse(&m->p, slice_of(frame)) == ERR_OK);
	EXPECT(normal_event(&m->p, &ctx, &m->scratch, &m->ev) == ERR_OK);
}

static void
unmake(struct made *m)
{
	payload_free(&m->p);
	normal_free(&m->scratch);
}

TEST(guild_text_is_undone_once_and_only_our_mention_goes)
{
	static const struct {
		const char *content, *mentions, *user, *text;
		bool        to_me;
	} rows[] = {
		{ "a &lt;b&gt; &amp;", "null", BOT, "a <b> &", false },
		{ "&amp;lt; &amp;amp;", "null", BOT, "&lt; &amp;", false },
		{ "&lt &gt; &quot; &", "null", BOT, "&lt > &quot; &", false },
		{ "<@!" BOT "> hi", "null", BOT, "hi", false },
		{ "<@" BOT "> hi", "null", BOT, "hi", false },
		{ "hi <@!" BOT ">", "null", BOT, "hi", false },
		{ "a <@!" BOT "> b <@" BOT "> c", "null", BOT, "a  b  c",
		  false },
		{ "<@!" P "> hi", "null", BOT, "<@!" P "> hi", false },
		{ "<@!" BOT "1> hi", "null", BOT, "<@!" BOT "1> hi", false },
		{ "<@!" BOT, "null", BOT, "<@!" BOT, false },
		{ "<@!", "null", BOT, "<@!", false },
		{ "<@!>", "null", BOT, "<@!>", false },
		{ "<@!>", "null", "", "<@!>", false },
		{ "<", "null", "", "<", false },
		{ "&lt;@!" BOT "&gt;", "null", BOT, "<@!" BOT ">", false },
		{ "<@!5> hi", "[{\"id\":\"5\",\"is_you\":true}]", "", "hi",
		  true },
		{ "<@!5> hi", "[{\"id\":\"5\",\"bot\":true}]", "",
		  "<@!5> hi", false },
		{ "<@!" BOT "> hi", "[{\"id\":\"" BOT "\",\"bot\":true}]", BOT,
		  "hi", true },
		{ "<@!5> hi", "[{\"id\":\"5\",\"bot\":true}]", BOT,
		  "<@!5> hi", false },
		{ "  spaced\\t\\n ", "null", "", "spaced", false },
	};
	struct made m = { 0 };
	char        frame[512];

	for (size_t i = 0; i < ROWS(rows); i++) {
		snprintf(frame, sizeof frame,
		    "{\"op\":0,\"t\":\"MESSAGE_CREATE\",\"d\":{\"id\":\"1\","
		    "\"content\":\"%s\",\"mentions\":%s}}",
		    rows[i].content, rows[i].mentions);
		make(&m, frame, rows[i].user);
		EXPECT_SLICE(m.ev.text, rows[i].text);
		EXPECT_INT(m.ev.to_me, rows[i].to_me);
	}
	/* groups escape nothing, so nothing is undone */
	make(&m, "{\"op\":0,\"t\":\"GROUP_AT_MESSAGE_CREATE\",\"d\":"
	    "{\"id\":\"1\",\"content\":\" <@X> &lt;b&gt;\",\"mentions\":"
	    "[{\"member_openid\":\"X\",\"is_you\":true}]}}", "");
	EXPECT_SLICE(m.ev.text, "&lt;b&gt;");
	/* not told who we are, an AT_ event tells it */
	make(&m, "{\"op\":0,\"t\":\"AT_MESSAGE_CREATE\",\"d\":{\"id\":\"1\","
	    "\"content\":\"<@!5> hi\",\"mentions\":[{\"id\":\"5\","
	    "\"bot\":true}]}}", "");
	EXPECT_SLICE(m.ev.text, "hi");
	expect_packed("mentions", m.ev.mentions,
	    "[{\"user\":\"5\",\"bot\":true,\"all\":false,\"me\":true}]");
	unmake(&m);
}

TEST(equal_ids_are_one_event)
{
	static const struct {
		const char *frame, *id;
	} rows[] = {
		/* both ways a group may tell the same message */
		{ "{\"op\":0,\"id\":\"A:1\",\"t\":\"GROUP_MESSAGE_CREATE\","
		  "\"d\":{\"id\":\"R1\",\"group_openid\":\"X\"}}",
		  "m:R1@102000001/g:X" },
		{ "{\"op\":0,\"id\":\"B:2\",\"t\":\"GROUP_AT_MESSAGE_CREATE\","
		  "\"d\":{\"id\":\"R1\",\"group_openid\":\"X\"}}",
		  "m:R1@102000001/g:X" },
		/* the same id elsewhere is another message */
		{ "{\"op\":0,\"id\":\"A:1\",\"t\":\"GROUP_MESSAGE_CREATE\","
		  "\"d\":{\"id\":\"R1\",\"group_openid\":\"Y\"}}",
		  "m:R1@102000001/g:Y" },
		{ "{\"op\":0,\"id\":\"A:1\",\"t\":\"C2C_MESSAGE_CREATE\","
		  "\"d\":{\"id\":\"R1\",\"author\":{\"id\":\"X\"}}}",
		  "m:R1@102000001/u:X" },
		/* a message without an id of its own */
		{ "{\"op\":0,\"id\":\"A:1\",\"t\":\"C2C_MESSAGE_CREATE\","
		  "\"d\":{}}", "A:1@102000001/b:102000001" },
		/* of other events d.id is not theirs */
		{ "{\"op\":0,\"id\":\"A:1\",\"t\":\"GUILD_UPDATE\","
		  "\"d\":{\"id\":\"77\"}}", "A:1@102000001/s:77" },
		/* what would end a C string ends no id, nor begins another's */
		{ "{\"op\":0,\"id\":\"A:1\",\"t\":\"C2C_MESSAGE_CREATE\","
		  "\"d\":{\"id\":\"R\\u00001\",\"author\":{\"id\":"
		  "\"X\\u0000Y\\u0000\"}}}", "m:R?1@102000001/u:X?Y?" },
		{ "{\"op\":0,\"id\":7,\"t\":\"GUILD_UPDATE\",\"d\":{}}",
		  "7@102000001/b:102000001" },
	};
	struct made m = { 0 };
	char        hash[64];

	for (size_t i = 0; i < ROWS(rows); i++) {
		make(&m, rows[i].frame, "");
		EXPECT_SLICE(m.ev.id, rows[i].id);
	}
	/* an event without any id is what it says */
	make(&m, "{\"op\":0,\"s\":1,\"t\":\"X\",\"d\":{\"a\":1}}", "");
	EXPECT(slice_starts(m.ev.id, SLICE("h:")) && m.ev.id.n == 40);
	snprintf(hash, sizeof hash, "%.*s", (int)m.ev.id.n, m.ev.id.p);
	make(&m, "{\"op\":0,\"s\":2,\"t\":\"X\",\"d\":{\"a\":1}}", "");
	EXPECT_SLICE(m.ev.id, hash);
	make(&m, "{\"op\":0,\"s\":1,\"t\":\"X\",\"d\":{\"a\":2}}", "");
	EXPECT(!slice_is(m.ev.id, hash));
	make(&m, "{\"op\":0,\"s\":1,\"t\":\"Y\",\"d\":{\"a\":1}}", "");
	EXPECT(!slice_is(m.ev.id, hash));
	unmake(&m);
}

TEST(faces_are_their_names)
{
#define FACE(ext) "<faceType=1,faceId=\\\"14\\\",ext=\\\"" ext "\\\">"
	static const struct {
		const char *content, *text;
	} rows[] = {
		{ FACE("eyJ0ZXh0IjoiYSJ9") "b" FACE("eyJ0ZXh0IjoiYSJ9"),
		  "[a]b[a]" },
		{ "<faceType=3,faceId=14,ext=eyJ0ZXh0IjoiYSJ9>", "[a]" },
		/* what cannot be read stays as it is */
		{ "<faceType=1,faceId=14>", "<faceType=1,faceId=14>" },
		{ "<faceType=1,ext=e30=>", "<faceType=1,ext=e30=>" },
		{ "<faceType=1,ext=!!!!>", "<faceType=1,ext=!!!!>" },
		{ "<faceType=1,ext=eyJ0", "<faceType=1,ext=eyJ0" },
		{ "<faceType=", "<faceType=" },
	};
	struct made m = { 0 };
	char        frame[512];

	for (size_t i = 0; i < ROWS(rows); i++) {
		snprintf(frame, sizeof frame,
		    "{\"op\":0,\"t\":\"C2C_MESSAGE_CREATE\",\"d\":{"
		    "\"content\":\"%s\"}}", rows[i].content);
		make(&m, frame, "");
		EXPECT_SLICE(m.ev.text, rows[i].text);
	}
	unmake(&m);
}

TEST(quotes_by_their_index)
{
	struct made m = { 0 };

	make(&m, "{\"op\":0,\"t\":\"C2C_MESSAGE_CREATE\",\"d\":{"
	    "\"message_scene\":{\"ext\":[\"ref_msg_idx=REFIDX_A\","
	    "\"msg_idx=REFIDX_B\",\"auth_token=x=y\",\"switch_id=1\",7,"
	    "\"=\",\"none\"],\"callback_data\":\"from a link\"}}}", "");
	expect_packed("quote", m.ev.quote, "{\"msg\":\"REFIDX_A\"}");
	expect_packed("data", m.ev.data, "{\"ref\":\"REFIDX_B\","
	    "\"callback\":\"from a link\",\"ext\":{\"switch_id\":\"1\"}}");
	unmake(&m);
}

TEST(what_an_attachment_is)
{
	static const struct {
		const char *type, *name, *kind;
	} rows[] = {
		{ "image/png", "x.mp4", "image" }, { "voice", "", "audio" },
		{ "video/mp4", "", "video" },      { "file", "a.png", "file" },
		{ "application/pdf", "a", "file" }, { "", "a.PNG", "image" },
		{ "", "a.mp4", "video" },          { "", "a.silk", "audio" },
		{ "", ".png", "file" },            { "", "", "file" },
	};

	for (size_t i = 0; i < ROWS(rows); i++)
		EXPECT_STR(extra_kind(slice_of(rows[i].type),
		    slice_of(rows[i].name)), rows[i].kind);
}

/* Somebody forwards a record of records: depth and lines have bounds. */
TEST(a_record_has_an_end)
{
	struct made m = { 0 };
	struct buf  frame = { 0 };
	struct json *data = NULL, *at;
	int          deep = 0;

	buf_puts(&frame, "{\"op\":0,\"t\":\"C2C_MESSAGE_CREATE\",\"d\":{"
	    "\"message_type\":102,\"msg_elements\":[");
	for (int i = 0; i < 500; i++)
		buf_puts(&frame, "{\"content\":\"x\"},");
	buf_puts(&frame, "{}]}}");
	make(&m, frame.p, "");
	EXPECT(json_from_msgpack(&data, m.ev.data) == ERR_OK);
	EXPECT_INT(json_count(json_get(data, "record")), 200);
	json_free(&data);
	buf_reset(&frame);
	buf_puts(&frame, "{\"op\":0,\"t\":\"C2C_MESSAGE_CREATE\",\"d\":{"
	    "\"message_type\":102");
	for (int i = 0; i < 12; i++)
		buf_puts(&frame, ",\"msg_elements\":[{\"content\":\"x\"");
	for (int i = 0; i < 12; i++)
		buf_puts(&frame, "}]");
	buf_puts(&frame, "}}");
	make(&m, frame.p, "");
	EXPECT(json_from_msgpack(&data, m.ev.data) == ERR_OK);
	for (at = json_get(data, "record"); at != NULL;
	     at = json_get(json_at(at, 0), "record"))
		deep++;
	EXPECT_INT(deep, 8);
	json_free(&data);
	buf_free(&frame);
	unmake(&m);
}

TEST(both_ways_in_give_the_same)
{
	struct normal_context ways[] = { context(BOT, "0/1"),
		context(BOT, "webhook") };
	struct buf            out[2] = { { 0 }, { 0 } };
	struct normal_scratch scratch = { 0 };
	char                  file[128], head[MSG_HEAD];

	for (size_t i = 0; i < ROWS(samples); i++) {
		struct buf       text = { 0 };
		struct payload   p;
		struct msg_event ev;

		snprintf(file, sizeof file, "%s.json", samples[i].file);
		read_sample(file, &text);
		for (size_t k = 0; k < 2; k++) {
			payload_parse(&p, buf_slice(&text));
			normal_event(&p, &ways[k], &scratch, &ev);
			EXPECT_SLICE(ev.shard, k == 0 ? "0/1" : "webhook");
			ev.shard = (struct slice){ NULL, 0 };
			buf_reset(&out[k]);
			EXPECT(msg_encode(MSG_event, &ev, head, &out[k]) ==
			    ERR_OK);
			payload_free(&p);
		}
		EXPECT(slice_eq(buf_slice(&out[0]), buf_slice(&out[1])));
		buf_free(&text);
	}
	buf_free(&out[0]);
	buf_free(&out[1]);
	normal_free(&scratch);
}

TEST(numbers_are_exact)
{
	static const char d[] = "{\"a\":9007199254740993,"
	    "\"b\":9223372036854775807,\"c\":18446744073709551615,"
	    "\"d\":-9223372036854775808,\"e\":1.5,\"f\":-1,\"g\":0}";
	struct made m = { 0 };
	char        frame[512];

	snprintf(frame, sizeof frame, "{\"op\":0,\"t\":\"NEW\",\"d\":%s}", d);
	make(&m, frame, "");
	expect_packed("data", m.ev.data, d);
	EXPECT_SLICE(m.ev.raw, d);
	/* an id that came as a number */
	make(&m, "{\"op\":0,\"t\":\"FORUM_POST_CREATE\",\"d\":{"
	    "\"channel_id\":9223372036854775807,"
	    "\"author_id\":9007199254740993}}", "");
	EXPECT_SLICE(m.ev.conv, "c:9223372036854775807");
	EXPECT_SLICE(m.ev.user, "9007199254740993");
	unmake(&m);
}

/* --- hostile ---------------------------------------------------------------------------- */

TEST(whatever_it_holds_an_event_comes_out)
{
	static const char *const ds[] = { "null", "{}", "[]", "7", "\"x\"",
		"true", "{\"id\":null,\"author\":null,\"content\":null}",
		"{\"author\":7,\"content\":{},\"mentions\":{},"
		"\"attachments\":\"x\",\"timestamp\":[]}",
		"{\"author\":[],\"content\":12,\"mentions\":[null,7,\"x\",[],"
		"{}],\"attachments\":[null,7,\"x\",[],{}]}",
		"{\"attachments\":[{\"url\":null,\"content_type\":9,"
		"\"size\":\"big\",\"width\":1.5}]}",
		"{\"message_type\":103,\"msg_elements\":[]}",
		"{\"message_type\":103,\"msg_elements\":[7]}",
		"{\"message_type\":\"103\",\"msg_elements\":{}}",
		"{\"message_reference\":7}",
		"{\"content\":\"\\u0000a\\u0000\"}",
		"{\"content\":\"a\",\"content\":\"b\"}",
		"{\"group_openid\":\"\",\"channel_id\":{},\"guild_id\":false}" };
	static const char *const types[] = { "C2C_MESSAGE_CREATE",
		"GROUP_AT_MESSAGE_CREATE", "AT_MESSAGE_CREATE",
		"DIRECT_MESSAGE_CREATE", "MESSAGE_DELETE",
		"INTERACTION_CREATE", "SUBSCRIBE_MESSAGE_STATUS", "NEVER_SEEN",
		"" };
	struct made m = { 0 };
	struct buf  out = { 0 };
	char        frame[512], head[MSG_HEAD];

	for (size_t t = 0; t < ROWS(types); t++)
		for (size_t i = 0; i < ROWS(ds); i++) {
			snprintf(frame, sizeof frame,
			    "{\"op\":0,\"t\":\"%s\",\"d\":%s}", types[t],
			    ds[i]);
			make(&m, frame, BOT);
			EXPECT(m.ev.id.n > 0);
			EXPECT(m.ev.conv.n > 2);
			EXPECT(m.ev.type.n > 0);
			EXPECT_INT(m.ev.time, now_ms);
			buf_reset(&out);
			EXPECT(msg_encode(MSG_event, &m.ev, head, &out) ==
			    ERR_OK);
		}
	make(&m, "{\"op\":0,\"t\":\"NEVER_SEEN\"}", "");
	EXPECT_SLICE(m.ev.conv, "b:102000001");
	make(&m, "{\"op\":0,\"t\":\"C2C_MESSAGE_CREATE\",\"d\":{\"id\":12,"
	    "\"author\":{\"user_openid\":34},\"content\":56,"
	    "\"timestamp\":\"1767294245\"}}", "");
	EXPECT_SLICE(m.ev.id, "m:12@102000001/u:34");
	EXPECT_SLICE(m.ev.conv, "u:34");
	EXPECT_SLICE(m.ev.text, "56");
	EXPECT_INT(m.ev.time, SENT);
	buf_free(&out);
	unmake(&m);
}

TEST(a_megabyte_of_text_is_text)
{
	struct made m = { 0 };
	struct buf  frame = { 0 };
	size_t      n = 1 << 20;
	char       *body = malloc(n);

	memset(body, '<', n);
	buf_puts(&frame, "{\"op\":0,\"t\":\"AT_MESSAGE_CREATE\",\"d\":{"
	    "\"id\":\"1\",\"content\":\"");
	buf_put(&frame, (struct slice){ body, n });
	buf_puts(&frame, "\"}}");
	make(&m, frame.p, BOT);
	EXPECT_INT(m.ev.text.n, n);
	free(body);
	buf_free(&frame);
	unmake(&m);
}

int
main(void)
{
	RUN(each_sample_becomes_what_handlers_are_to_see);
	RUN(no_sample_is_left_out);
	RUN(each_event_of_the_platform_has_a_row);
	RUN(guild_text_is_undone_once_and_only_our_mention_goes);
	RUN(equal_ids_are_one_event);
	RUN(faces_are_their_names);
	RUN(quotes_by_their_index);
	RUN(what_an_attachment_is);
	RUN(a_record_has_an_end);
	RUN(both_ways_in_give_the_same);
	RUN(numbers_are_exact);
	RUN(whatever_it_holds_an_event_comes_out);
	RUN(a_megabyte_of_text_is_text);
	return test_done();
}
