#!/usr/bin/env python3
"""The simulator's API over real sockets: every operation, what it refuses,
the world behind it, uploads, streams, limits.  Standard library only.
"""
import hashlib
import http.client
import importlib.util
import json
import os
import sys
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
SPEC = importlib.util.spec_from_file_location(
    "qqsim_run", os.path.join(os.path.dirname(HERE), "qqsim", "run.py"))
QQSIM = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(QQSIM)

GUILD, CHANNEL, FORUM = "4700000000000000001", "1600001", "1600003"
MING, SECOND = "0A1B2C3D4E5F60718293A4B5C6D7E8F1", "1440000000000000002"
HONG = "1B2C3D4E5F60718293A4B5C6D7E8F10A"
GROUP, STRANGER = "3D4E5F60718293A4B5C6D7E8F10A1B2C", \
    "5F60718293A4B5C6D7E8F10A1B2C3D4E"
U, G, C = f"/v2/users/{MING}", f"/v2/groups/{GROUP}", f"/channels/{CHANNEL}"
N, S = f"/guilds/{GUILD}", "/v2/groups/join_approval_strategy"
DM = "/dms/1870000000000000001"
TEXT = {"msg_type": 0, "content": "x"}
PANEL = {"items": [{"name": "/help", "type": "command"}], "remark": "r"}
BUTTON = {"id": "1", "render_data": {"label": "l", "style": 1},
          "action": {"type": 1, "data": "d", "permission": {"type": 2}}}
KEYBOARD = {"content": {"rows": [{"buttons": [BUTTON]}]}}
SCHEDULE = {"name": "s", "start_timestamp": "4000000000000",
            "end_timestamp": "4000000360000", "remind_type": "0"}
PREPARE = {"file_type": 4, "file_name": "f", "file_size": "3",
           "md5": hashlib.md5(b"abc").hexdigest(),
           "sha1": hashlib.sha1(b"abc").hexdigest(),
           "md5_10m": hashlib.md5(b"abc").hexdigest()}
EMOJI = C + "/messages/M/reactions/1/4"
ROLE = {"name": "n", "color": 1, "hoist": 1}

# op, method, path, body, status; in this order, {} is the last id made.
CALLS = [
    ("gateway_get", "GET", "/gateway", None, 200),
    ("gateway_bot_get", "GET", "/gateway/bot", None, 200),
    ("me_get", "GET", "/users/@me", None, 200),
    ("me_guilds_list", "GET", "/users/@me/guilds?limit=1", None, 200),
    ("dm_create", "POST", "/users/@me/dms",
     {"recipient_id": SECOND, "source_guild_id": GUILD}, 200),
    ("url_link_generate", "POST", "/v2/generate_url_link",
     {"callback_data": "c"}, 200),
    ("c2c_message_send", "POST", U + "/messages", TEXT, 200),
    ("c2c_message_recall", "DELETE", U + "/messages/{}", None, 200),
    ("c2c_stream_send", "POST", U + "/stream_messages",
     {"input_mode": "replace", "input_state": 1, "index": 0,
      "content_type": "text", "content_raw": "x"}, 200),
    ("c2c_file_upload", "POST", U + "/files",
     {"file_type": 1, "url": "https://x/y.png"}, 200),
    ("c2c_upload_prepare", "POST", U + "/upload_prepare", PREPARE, 200),
    ("group_message_send", "POST", G + "/messages", TEXT, 200),
    ("group_message_recall", "DELETE", G + "/messages/{}", None, 200),
    ("group_file_upload", "POST", G + "/files",
     {"file_type": 1, "file_data": "YWJj"}, 200),
    ("group_upload_prepare", "POST", G + "/upload_prepare", PREPARE, 200),
    ("group_info_get", "GET", G + "/info", None, 200),
    ("group_bot_state_get", "GET", G + "/bot_state", None, 200),
    ("group_members_list", "GET", G + "/members", None, 200),
    ("group_members_list_v1", "POST", G + "/members",
     {"limit": 1, "start_index": 0}, 200),
    ("group_member_get", "GET", G + "/members/" + HONG, None, 200),
    ("group_members_remove", "POST", G + "/batch_remove_members",
     {"member_openids": [HONG], "add_to_member_blacklist": True}, 200),
    ("group_blacklist_list", "GET", G + "/member_blacklist?limit=5", None,
     200),
    ("group_blacklist_update", "POST", G + "/member_blacklist",
     {"op": "del", "member_openids": [HONG]}, 200),
    ("group_join_requests_list", "GET", G + "/join_request_list", None, 200),
    ("group_join_request_decide", "POST",
     G + "/approval_join_request/" + STRANGER,
     {"op": "approve", "join_request_id": "JOIN_1"}, 200),
    ("group_restrict_set", "POST", G + "/restrict_chat_setting",
     {"members": [{"op": "add", "member_openid": MING,
                   "mute_expire_at": "2027-01-01T00:00:00+08:00"}]}, 200),
    ("group_restrict_get", "GET", G + "/restrict_chat_setting", None, 200),
    ("join_strategy_create", "POST", S, {"group_openids": [GROUP]}, 200),
    ("join_strategy_list", "GET", S, None, 200),
    ("join_strategy_update", "PATCH", S + "/{}", {"remark": "r"}, 200),
    ("join_strategy_execute", "POST", S + "/{}/execute", None, 200),
    ("join_strategy_whitelist", "POST", S + "/{}/whitelist_users",
     {"op": "add", "whitelist_users": ["1", "2"]}, 200),
    ("join_strategy_delete", "DELETE", S + "/{}", None, 200),
    ("menu_set", "PUT", "/v2/menu",
     {"menu": {"items": [{"name": "m", "type": "send_message",
                          "send_message": "hi"}]}}, 200),
    ("menu_get", "GET", "/v2/menu", None, 200),
    ("panel_create", "POST", "/v2/panels",
     {"scope": "c2c", "target_type": "specific", "panel": PANEL}, 200),
    ("panel_list", "GET", "/v2/panels?scope=c2c", None, 200),
    ("panel_get", "GET", "/v2/panels/{}", None, 200),
    ("panel_update", "PUT", "/v2/panels/{}", {"panel": PANEL}, 200),
    ("panel_target_update", "PUT", "/v2/panels/{}/target",
     {"op": "add", "user_openids": [MING]}, 200),
    ("panel_delete", "DELETE", "/v2/panels/{}", None, 200),
    ("channel_message_send", "POST", C + "/messages",
     {"content": "x", "keyboard": KEYBOARD}, 200),
    ("channel_message_get", "GET", C + "/messages/{}", None, 200),
    ("channel_messages_list", "GET", C + "/messages?limit=20", None, 200),
    ("channel_message_edit", "PATCH", C + "/messages/{}",
     {"content": "y", "keyboard": KEYBOARD}, 200),
    ("channel_message_recall", "DELETE", C + "/messages/{}?hidetip=true",
     None, 200),
    ("channel_setting_guide_send", "POST", C + "/settingguide",
     {"content": "<@!1>"}, 200),
    ("dm_setting_guide_send", "POST", DM + "/settingguide",
     {"jump_guild_id": GUILD}, 200),
    ("dm_message_send", "POST", DM + "/messages", {"content": "x"}, 200),
    ("dm_message_get", "GET", DM + "/messages/{}", None, 200),
    ("dm_message_recall", "DELETE", DM + "/messages/{}", None, 200),
    ("message_setting_get", "GET", N + "/message/setting", None, 200),
    ("reaction_add", "PUT", EMOJI, None, 204),
    ("reaction_users_list", "GET", EMOJI + "?limit=20", None, 200),
    ("reaction_remove", "DELETE", EMOJI, None, 204),
    ("pin_add", "PUT", C + "/pins/M", None, 200),
    ("pins_get", "GET", C + "/pins", None, 200),
    ("pin_delete", "DELETE", C + "/pins/M", None, 204),
    ("guild_announce_create", "POST", N + "/announces",
     {"announces_type": 0, "recommend_channels": [
         {"channel_id": CHANNEL, "introduce": "i"}]}, 200),
    ("guild_announce_delete", "DELETE", N + "/announces/all", None, 204),
    ("channel_announce_create", "POST", C + "/announces",
     {"message_id": "M"}, 200),
    ("channel_announce_delete", "DELETE", C + "/announces/M", None, 204),
    ("guild_get", "GET", N, None, 200),
    ("channels_list", "GET", N + "/channels", None, 200),
    ("channel_create", "POST", N + "/channels",
     {"name": "n", "type": 0, "position": 9, "parent_id": "1600000"}, 200),
    ("channel_get", "GET", "/channels/{}", None, 200),
    ("channel_update", "PATCH", "/channels/{}", {"name": "m"}, 200),
    ("channel_delete", "DELETE", "/channels/{}", None, 200),
    ("channel_online_nums_get", "GET", "/channels/1600002/online_nums", None,
     200),
    ("voice_members_list", "GET", "/channels/1600002/voice/members", None,
     200),
    ("members_list", "GET", N + "/members?after=0&limit=400", None, 200),
    ("role_members_list", "GET",
     N + "/roles/10000001/members?start_index=0&limit=400", None, 200),
    ("member_get", "GET", N + "/members/" + SECOND, None, 200),
    ("roles_list", "GET", N + "/roles", None, 200),
    ("role_create", "POST", N + "/roles", ROLE, 200),
    ("member_role_add", "PUT", N + f"/members/{SECOND}/roles/{{}}", None, 204),
    ("member_role_remove", "DELETE", N + f"/members/{SECOND}/roles/{{}}",
     None, 204),
    ("role_update", "PATCH", N + "/roles/{}",
     {"filter": {"name": 1, "color": 0, "hoist": 0},
      "info": {"name": "o", "color": 0, "hoist": 0}}, 200),
    ("role_delete", "DELETE", N + "/roles/{}", None, 204),
    ("channel_member_permissions_set", "PUT",
     C + f"/members/{SECOND}/permissions", {"remove": "2"}, 204),
    ("channel_member_permissions_get", "GET",
     C + f"/members/{SECOND}/permissions", None, 200),
    ("channel_role_permissions_set", "PUT", C + "/roles/2/permissions",
     {"add": "8"}, 204),
    ("channel_role_permissions_get", "GET", C + "/roles/2/permissions", None,
     200),
    ("guild_mute", "PATCH", N + "/mute", {"mute_seconds": "0"}, 204),
    ("guild_mute", "PATCH", N + "/mute",
     {"mute_seconds": "60", "user_ids": [SECOND, "1"]}, 200),
    ("member_mute", "PATCH", N + f"/members/{SECOND}/mute",
     {"mute_seconds": "60"}, 204),
    ("schedule_create", "POST", C + "/schedules", {"schedule": SCHEDULE},
     200),
    ("schedules_list", "GET", C + "/schedules?since=1", None, 200),
    ("schedule_get", "GET", C + "/schedules/{}", None, 200),
    ("schedule_update", "PATCH", C + "/schedules/{}", {"schedule": SCHEDULE},
     200),
    ("schedule_delete", "DELETE", C + "/schedules/{}", None, 204),
    ("audio_control", "POST", C + "/audio", {"status": 0, "text": "t"}, 200),
    ("mic_on", "PUT", C + "/mic", None, 200),
    ("mic_off", "DELETE", C + "/mic", None, 200),
    ("threads_list", "GET", f"/channels/{FORUM}/threads", None, 200),
    ("thread_get", "GET", f"/channels/{FORUM}/threads/T1", None, 200),
    ("thread_create", "PUT", f"/channels/{FORUM}/threads",
     {"title": "t", "content": "c", "format": 1}, 200),
    ("thread_comment_create", "POST",
     f"/channels/{FORUM}/threads/T1/comment",
     {"thread_author": "1", "content": "c"}, 200),
    ("thread_delete", "DELETE", f"/channels/{FORUM}/threads/T1", None, 204),
    ("api_permission_list", "GET", N + "/api_permission", None, 200),
    ("api_permission_demand", "POST", N + "/api_permission/demand",
     {"channel_id": CHANNEL, "desc": "d",
      "api_identify": {"path": "/p", "method": "GET"}}, 200),
    ("member_remove", "DELETE", N + "/members/" + SECOND,
     {"add_blacklist": True, "delete_history_msg_days": 3}, 204),
]
# Not here, but in tests of their own.
ELSEWHERE = {"token_get", "interaction_ack", "upload_part_put",
             "c2c_upload_part_finish", "group_upload_part_finish"}


def ask(sim, method, path, body=None, status=None):
    """The answer's body; of the status that is expected."""
    got, answer = sim.ask(method, path, body,
                          {"Authorization": "QQBot " + sim.kept_token})
    assert status is None or got == status, (method, path, got, answer)
    return answer if status is not None else (got, answer)


def refused(sim, code, method, path, body=None):
    status, answer = ask(sim, method, path, body)
    assert status >= 400 and answer["code"] == code == answer["err_code"], (
        path, status, answer, code)
    return answer["message"]


def live(sim):
    """A session that is told of guilds, reactions and audits too."""
    ws = QQSIM.Ws(sim)
    assert ws.recv()["op"] == 10
    ws.send({"op": 2, "d": {
        "token": "QQBot " + sim.kept_token, "shard": [0, 1],
        "intents": 1 << 0 | 1 << 1 | 1 << 10 | 1 << 25 | 1 << 27}})
    assert ws.recv()["t"] == "READY"
    return ws


def id_of(answer):
    if isinstance(answer, dict):
        for key in ("id", "strategy_id", "panel_id", "role_id", "thread_id"):
            if answer.get(key):
                return answer[key]
    return None


def test_every_operation(sim):
    """Each is answered as its page says, and its maker sees it."""
    known = {o["op"]: o for o in sim.must("GET", "/sim/operations")[
        "operations"]}
    made = None
    for op, method, path, body, status in CALLS:
        at = path.replace("{}", made or "")
        before = sim.must("GET", "/sim/requests")["requests"]
        answer = ask(sim, method, at, body, status)
        made = id_of(answer) or made
        assert known[op]["method"] == method, op
        seen = sim.must("GET", "/sim/requests?after=%d"
                        % (before[-1]["serial"] if before else 0))
        seen = seen["requests"][-1]
        assert seen["op"] == op and seen["status"] == status, (op, seen)
        assert seen["path"] == at.split("?")[0], seen
        assert seen["query"] == (at.split("?") + [""])[1], seen
        assert seen.get("body") == body, seen
        assert seen["headers"]["authorization"] == "QQBot", seen
    assert {c[0] for c in CALLS} | ELSEWHERE == set(known), \
        set(known) ^ ({c[0] for c in CALLS} | ELSEWHERE)
    assert sim.report()["violations"] == {}, sim.report()["violations"]
    asked = {o["op"]: o["asked"] for o in
             sim.must("GET", "/sim/operations")["operations"]}
    assert asked["me_get"] == 1 and asked["guild_mute"] == 2, asked


def test_forms(sim):
    """What is too much or too little is refused by name, everywhere."""
    operations = sim.must("GET", "/sim/operations")["operations"]
    samples = {c[0]: c for c in CALLS}
    for o in operations:
        if o["op"] not in samples:
            continue
        _, method, path, body, _ = samples[o["op"]]
        path = path.replace("{}", "1")
        status, answer = ask(sim, method, path,
                             {**(body or {}), "zz_unknown": 1})
        assert status == 400 and "zz_unknown" in answer["message"], (
            o["op"], status, answer)
        plain = path.split("?", maxsplit=1)[0]
        status, answer = ask(sim, method, plain + "?zz=1", body)
        assert status == 400 and "zz" in answer["message"], (o, answer)
        for item in o["body"].split():
            name, kind = item.split(":")
            if not kind.endswith("!") or "." in name:
                continue
            less = {k: v for k, v in body.items() if k != name}
            status, answer = ask(sim, method, path, less)
            assert status == 400 and name + " is missing" in \
                answer["message"], (o["op"], name, answer)
            status, answer = ask(sim, method, path, {**body, name: [[]]})
            assert status == 400 and name in answer["message"], (
                o["op"], name, answer)
    assert ask(sim, "PATCH", "/users/@me")[0] == 405
    assert ask(sim, "GET", "/gateway/webhook/sessions")[0] == 404


def test_world(sim):
    """What is written is what is read."""
    made = ask(sim, "POST", N + "/channels",
               {"name": "n", "type": 0, "position": 9}, 200)
    at = "/channels/" + made["id"]
    assert made in ask(sim, "GET", N + "/channels", None, 200)
    ask(sim, "PATCH", at, {"name": "m"}, 200)
    assert ask(sim, "GET", at, None, 200) == {**made, "name": "m"}
    ask(sim, "POST", at + "/messages", {"content": "x"}, 200)
    ask(sim, "DELETE", at, None, 200)
    refused(sim, 10003, "GET", at)
    refused(sim, 10003, "POST", at + "/messages", {"content": "x"})
    refused(sim, 200017, "POST", N + "/channels",
            {"name": "n", "type": 4, "position": 1})

    users = [m["user"]["id"] for m in
             ask(sim, "GET", N + "/members?limit=400", None, 200)]
    assert users == sorted(users, key=int) and len(users) == 3, users
    page, seen = 0, []
    while True:
        got = ask(sim, "GET", N + f"/members?after={page}", None, 200)
        if not got:
            break
        seen += [m["user"]["id"] for m in got]
        page = seen[-1]
    assert seen == users, seen

    ask(sim, "PUT", N + f"/members/{SECOND}/roles/2", None, 204)
    refused(sim, 12002, "PUT", N + f"/members/{SECOND}/roles/5", {})
    assert "2" in ask(sim, "GET", N + f"/members/{SECOND}", None, 200)["roles"]
    ask(sim, "DELETE", N + f"/members/{SECOND}/roles/2", {}, 204)
    assert "2" not in ask(sim, "GET", N + f"/members/{SECOND}", None,
                          200)["roles"]
    ask(sim, "PUT", C + "/roles/2/permissions", {"remove": "4"}, 204)
    assert ask(sim, "GET", C + "/roles/2/permissions", None, 200)[
        "permissions"] == "3"

    emoji = C + "/messages/M/reactions/2/" + urllib.parse.quote("\U0001f600")
    ask(sim, "PUT", emoji, None, 204)
    refused(sim, 620003, "PUT", emoji)
    assert len(ask(sim, "GET", emoji, None, 200)["users"]) == 1
    ask(sim, "DELETE", emoji, None, 204)
    refused(sim, 620004, "DELETE", emoji)

    for i in range(20):
        ask(sim, "PUT", C + f"/pins/{i}", None, 200)
    refused(sim, 501013, "PUT", C + "/pins/20")
    ask(sim, "DELETE", C + "/pins/all", None, 204)
    assert ask(sim, "GET", C + "/pins", None, 200)["message_ids"] == []

    refused(sim, 302015, "POST", C + "/schedules", {
        "schedule": {**SCHEDULE, "start_timestamp": "1"}})
    refused(sim, 40030021, "PUT", "/v2/panels/%s/target" % ask(
        sim, "POST", "/v2/panels", {"scope": "group", "panel": PANEL},
        200)["panel_id"], {"op": "add", "user_openids": []})
    refused(sim, 40030008, "POST", "/v2/panels", {
        "scope": "c2c", "panel": {"items": [
            {"name": "n", "type": "link", "link": "http://x"}]}})
    refused(sim, 40030013, "POST", "/v2/panels", {
        "scope": "c2c", "panel": {"items": [
            {"name": "\u597d" * 8, "type": "command"}]}})
    refused(sim, 12001, "PATCH", N + "/roles/77", {"name": "x"})

    sim.must("POST", "/sim/world", {
        "kind": "group", "id": "NEW", "object": {"group_openid": "NEW"}})
    ask(sim, "POST", "/v2/groups/NEW/messages", TEXT, 200)
    assert ask(sim, "GET", "/v2/groups/NEW/info", None, 200) == {
        "group_openid": "NEW"}
    sim.must("POST", "/sim/world", {"kind": "group", "id": "NEW"})
    refused(sim, 11255, "GET", "/v2/groups/NEW/info")
    assert sim.must("GET", "/sim/world?kind=guild")["objects"][0][
        "id"] == GUILD


def test_changes_are_told(sim):
    ws = live(sim)
    made = ask(sim, "POST", N + "/channels",
               {"name": "n", "type": 0, "position": 9}, 200)
    ask(sim, "PUT", EMOJI, None, 204)
    got = [ws.recv() for _ in range(2)]
    assert [g["t"] for g in got] == ["CHANNEL_CREATE",
                                     "MESSAGE_REACTION_ADD"], got
    assert got[0]["d"]["id"] == made["id"]
    assert got[1]["d"]["emoji"] == {"id": "4", "type": 1}
    ws.sock.close()


def test_streams(sim):
    """A message in parts reads as its last one."""
    at, base = U + "/stream_messages", {
        "input_mode": "replace", "input_state": 1, "content_type": "text"}
    sim.must("POST", "/sim/bot", {"stream_gap_ms": 0})
    msg = sim.event(text="hi")["msg"]
    first = {**base, "index": 0, "content_raw": "a", "msg_id": msg,
             "event_id": msg}
    made = ask(sim, "POST", at, first, 200)
    assert made["remain_msg_len"] == 9999, made
    refused(sim, 40054005, "POST", at, first)
    more = {**base, "stream_msg_id": made["id"], "msg_id": msg}
    refused(sim, 40007, "POST", at, {**more, "index": 1, "content_raw": "b"})
    refused(sim, 12002, "POST", at, {**more, "index": 2, "content_raw": "ab"})
    sim.must("POST", "/sim/bot", {"stream_gap_ms": 60000})
    refused(sim, 50002, "POST", at, {**more, "index": 1, "content_raw": "ab"})
    sim.must("POST", "/sim/bot", {"stream_gap_ms": 0})
    ask(sim, "POST", at, {**more, "index": 1, "content_raw": "abc",
                          "input_state": 10}, 200)
    refused(sim, 40034018, "POST", at,
            {**more, "index": 2, "content_raw": "abcd"})
    messages = sim.must("GET", "/sim/messages")["messages"]
    assert [m["text"] for m in messages] == ["abc"], messages


def put(address, data, headers=None):
    url = urllib.parse.urlsplit(address)
    link = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    try:
        link.request("PUT", url.path + "?" + url.query, data, headers or {})
        answer = link.getresponse()
        answer.read()
        return answer.status, answer.headers.get("ETag")
    finally:
        link.close()


def cut_at_once(address, data):
    """The connection is reset; its end in good order is one that a client
    which still sends may not see before its own deadline."""
    begin = time.monotonic()
    try:
        how = put(address, data)
    except (OSError, http.client.HTTPException) as e:
        how = type(e).__name__
    took = time.monotonic() - begin
    assert how == "ConnectionResetError" and took < 10, (how, took)


def announce(data):
    return {"file_type": 2, "file_name": "v.mp4",
            "file_size": str(len(data)),
            "md5": hashlib.md5(data).hexdigest(),
            "sha1": hashlib.sha1(data).hexdigest(),
            "md5_10m": hashlib.md5(data[:10002432]).hexdigest()}


def finish(sim, up, part, data):
    return ask(sim, "POST", U + "/upload_part_finish", {
        "upload_id": up["upload_id"], "part_index": part["index"],
        "block_size": str(len(data)), "md5": hashlib.md5(data).hexdigest()})


def memory_kib(sim):
    with open(f"/proc/{sim.process.pid}/status", encoding="ascii") as f:
        return int([x for x in f if x.startswith("VmRSS")][0].split()[1])


def test_upload_in_parts(sim):
    """Parts out of order, each refused once; nothing is held in memory."""
    sim.must("POST", "/sim/bot", {"block_size": 4 << 20, "index_base": 1})
    data = bytes(range(256)) * (4096 * 18) + b"end"
    up = ask(sim, "POST", U + "/upload_prepare", announce(data), 200)
    assert up["block_size"] == str(4 << 20), up["block_size"]
    assert [p["index"] for p in up["parts"]] == list(range(1, 6))
    before = memory_kib(sim)
    sim.fault({"fault": "part_status", "count": 1, "status": 503},
              {"fault": "part_cut", "count": 1})
    for k in (4, 0, 2, 1, 3):
        part, piece = up["parts"][k], data[k << 22:(k + 1) << 22]
        assert part["block_size"] == str(len(piece))
        if k == 4:
            assert finish(sim, up, part, piece)[1]["code"] == 40093001
            cut_at_once(part["presigned_url"], piece)
            assert put(part["presigned_url"], piece)[0] == 503
            assert put(part["presigned_url"], piece[1:])[0] == 400
            assert put(part["presigned_url"], piece,
                       {"Authorization": "QQBot x"})[0] == 400
            assert put(part["presigned_url"] + "x", piece)[0] == 403
        assert put(part["presigned_url"], piece) == (
            200, '"%s"' % hashlib.md5(piece).hexdigest())
        if k == 0:
            sim.fault({"fault": "part_again", "count": 2})
            assert finish(sim, up, part, piece)[1]["code"] == 40093001
            assert finish(sim, up, part, piece)[1]["code"] == 40093001
            assert finish(sim, up, part, piece[1:])[0] == 400
        status, answer = finish(sim, up, part, piece)
        assert status == 200, answer
        if k == 2:
            refused(sim, 12002, "POST", U + "/files",
                    {"upload_id": up["upload_id"]})
    assert memory_kib(sim) - before < 16384, (before, memory_kib(sim))
    made = ask(sim, "POST", U + "/files", {"upload_id": up["upload_id"]}, 200)
    assert made["raw_url"] and made["id"] == "" and made["ttl"] == 3600
    ask(sim, "POST", U + "/messages", {
        "msg_type": 7, "media": {"file_info": made["file_info"]}}, 200)
    refused(sim, 304080, "POST", G + "/messages", {
        "msg_type": 7, "media": {"file_info": made["file_info"]}})
    stored = sim.must("GET", "/sim/world?kind=file")["objects"][-1]["object"]
    assert stored["bytes"] == len(data) and stored["file_name"] == "v.mp4"
    assert sim.report()["violations"] == {"storage_auth": 1}
    assert os.listdir(sim.dir.name).count("upload") == 0


def test_uploads_refused(sim):
    sim.must("POST", "/sim/bot", {"url_life_s": 0, "upload_numbers": 1})
    up = ask(sim, "POST", U + "/upload_prepare", announce(b"abc"), 200)
    assert up["block_size"] == 5 << 20 and up["parts"][0]["block_size"] == 3
    sim.must("POST", "/sim/bot", {"url_life_s": 60})
    wrong = {**announce(b"abc"), "sha1": "0" * 40}
    up = ask(sim, "POST", U + "/upload_prepare", wrong, 200)
    assert put(up["parts"][0]["presigned_url"], b"abc")[0] == 200
    assert finish(sim, up, up["parts"][0], b"abc")[0] == 200
    assert "sha1" in refused(sim, 12002, "POST", U + "/files",
                             {"upload_id": up["upload_id"]})
    refused(sim, 850031, "POST", U + "/upload_prepare",
            {**PREPARE, "file_size": (200 << 20) + 1})
    refused(sim, 12002, "POST", U + "/upload_prepare",
            {**PREPARE, "md5": "X" * 32})
    refused(sim, 12002, "POST", U + "/upload_prepare",
            {**PREPARE, "sha1": "ab"})
    sim.fault({"fault": "file_quota", "count": 1},
              {"fault": "file_status", "count": 1, "status": 502,
               "body": "html"})
    assert ask(sim, "POST", U + "/files", {})[0] == 502
    refused(sim, 40093002, "POST", U + "/upload_prepare", PREPARE)
    refused(sim, 12002, "POST", U + "/files",
            {"file_type": 1, "file_data": "data:x"})
    refused(sim, 850026, "POST", U + "/files",
            {"file_type": 1, "file_data": "YWJj", "url": "https://x"})
    refused(sim, 850026, "POST", U + "/files",
            {"file_type": 1, "url": "ftp://x"})
    sim.must("POST", "/sim/bot", {"file_ttl_s": 0})
    sent = ask(sim, "POST", U + "/files", {
        "file_type": 1, "url": "https://x", "srv_send_msg": True}, 200)
    assert sent["ttl"] == 0 and sent["id"].startswith("ROBOT1.0_"), sent


def form(fields, image=None):
    parts = [f'--B\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n'
             f"{v}\r\n".encode() for k, v in fields.items()]
    if image is not None:
        parts.append(b'--B\r\nContent-Disposition: form-data; name="file_'
                     b'image"; filename="p.png"\r\nContent-Type: image/png'
                     b"\r\n\r\n" + image + b"\r\n")
    return b"".join(parts) + b"--B--\r\n"


def test_multipart(sim):
    """A picture in a form, to channels and direct conversations only."""
    png = b"\x89PNG\r\n\x1a\n" + os.urandom(5000)

    def post(path, data, kind="multipart/form-data; boundary=B"):
        return sim.ask("POST", path, data, {
            "Authorization": "QQBot " + sim.kept_token,
            "Content-Type": kind})

    status, made = post(C + "/messages", form(
        {"content": "x", "embed": json.dumps({"title": "t"})}, png))
    assert status == 200 and made["content"] == "x", made
    body = sim.must("GET", "/sim/messages")["messages"][-1]["body"]
    assert body["file_image"] == {"bytes": 5008, "type": "png",
                                  "name": "p.png"}, body
    assert body["embed"] == {"title": "t"}
    for path, data, code in (
            (DM + "/messages", form({"zz": "1"}, png), 12002),
            (C + "/messages", form({}, b"GIF89a"), 304017),
            (C + "/messages", form({"embed": "{"}, png), 50035),
            (C + "/messages", form({}, png)[:-9], 50035),
            (C + "/messages", b"", 50035),
            (U + "/messages", form({}, png), 50035)):
        status, answer = post(path, data)
        assert status == 400 and answer["code"] == code, (answer, code)
    sim.must("POST", "/sim/bot", {"image_max": 5000})
    assert post(C + "/messages", form({}, png))[1]["code"] == 304020
    sim.fault({"fault": "send_late", "ms": 1, "count": 1})
    sim.must("POST", "/sim/bot", {"image_max": 6000})
    assert post(C + "/messages", form({}, png))[0] == 200


def retry_after(sim, method, path):
    link = http.client.HTTPConnection(sim.host, sim.port, timeout=20)
    link.request(method, path, None, {
        "Authorization": "QQBot " + sim.kept_token})
    answer = link.getresponse()
    answer.read()
    link.close()
    return answer.status, answer.headers.get("Retry-After")


def test_limits(sim):
    """As many as the platform lets through, and no more while it lasts."""
    sim.fault({"fault": "route_limits", "how": "seconds"})
    for _ in range(30):
        ask(sim, "GET", "/v2/menu", None, 200)
    assert retry_after(sim, "GET", "/v2/menu") == (429, "60")
    ask(sim, "GET", "/users/@me", None, 200)
    sim.must("DELETE", "/sim/fault")
    ask(sim, "GET", "/v2/menu", None, 200)
    for how, want in (("zero", "0"), ("junk", "soon"), ("seconds", "7")):
        sim.fault({"fault": "api_status", "status": 429, "body": "html",
                   "how": how, "ms": 7000, "count": 1})
        assert retry_after(sim, "GET", "/v2/menu") == (429, want)
    sim.fault({"fault": "api_status", "status": 503, "how": "date",
               "count": 1})
    assert retry_after(sim, "GET", "/v2/menu")[1].endswith(" GMT")

    sim.fault({"fault": "message_limits"})
    msg = sim.event(scope="dm", text="hi")["msg"]
    for _ in range(2):
        ask(sim, "POST", DM + "/messages", {"content": "x"}, 200)
    refused(sim, 304049, "POST", DM + "/messages", {"content": "x"})
    ask(sim, "POST", DM + "/messages", {"content": "x", "msg_id": msg}, 200)
    sim.must("DELETE", "/sim/fault")
    ask(sim, "POST", DM + "/messages", {"content": "x"}, 200)


def test_audits(sim):
    """Held, then there or not, and the bot is told."""
    ws = live(sim)
    sim.fault({"fault": "send_audit", "count": 2})
    held = [ask(sim, "POST", C + "/messages", {"content": w}, 202)
            for w in ("a", "b")]
    ids = [h["data"]["message_audit"]["audit_id"] for h in held]
    waiting = sim.must("GET", "/sim/audit")["audits"]
    assert [w["audit_id"] for w in waiting] == ids[::-1]
    sim.must("POST", "/sim/audit", {"audit_id": ids[0], "verdict": "pass"})
    sim.must("POST", "/sim/audit", {"verdict": "reject"})
    assert sim.ask("POST", "/sim/audit", {"verdict": "pass"})[0] == 400
    got = [ws.recv() for _ in range(2)]
    assert [g["t"] for g in got] == ["MESSAGE_AUDIT_PASS",
                                     "MESSAGE_AUDIT_REJECT"], got
    assert [g["d"]["audit_id"] for g in got] == ids
    shown = ask(sim, "GET", C + "/messages/" + got[0]["d"]["message_id"],
                None, 200)
    assert shown["content"] == "a" and "message_id" not in got[1]["d"]
    ws.sock.close()


def test_recalls_and_edits(sim):
    """Own messages, and those of members where the bot is admin."""
    msg = sim.event(scope="group", text="hi")["msg"]
    ask(sim, "DELETE", G + "/messages/" + msg, None, 200)
    sim.must("POST", "/sim/world", {
        "kind": "bot_state", "id": GROUP, "object": {"member_role":
                                                     "member"}})
    refused(sim, 40062003, "DELETE", G + "/messages/" + msg)
    other = sim.event(text="hi")["msg"]
    refused(sim, 40061002, "DELETE", U + "/messages/" + other)
    plain = ask(sim, "POST", C + "/messages", {"content": "x"}, 200)["id"]
    refused(sim, 50049, "PATCH", C + "/messages/" + plain,
            {"content": "y", "keyboard": KEYBOARD})
    made = ask(sim, "POST", C + "/messages",
               {"content": "x", "keyboard": KEYBOARD}, 200)["id"]
    refused(sim, 50050, "PATCH", C + "/messages/" + made, {"content": "y"})
    refused(sim, 50051, "PATCH", C + "/messages/1",
            {"content": "y", "keyboard": KEYBOARD})
    ask(sim, "PATCH", C + "/messages/" + made,
        {"content": "y", "keyboard": KEYBOARD}, 200)
    listed = ask(sim, "GET", C + "/messages?limit=2", None, 200)
    assert [(m["id"], m["content"]) for m in listed] == [
        (made, "y"), (plain, "x")], listed


def test_interactions(sim):
    click = sim.event(button="b")["interaction"]
    at = "/interactions/" + click
    refused(sim, 630001, "PUT", at, {"code": 6})
    status, answer = sim.api("PUT", at, {"code": 0},
                             **{"X-Callback-AppID": "1"})
    assert answer["code"] == 630003, (status, answer)
    ask(sim, "PUT", at, {"code": 0, "data": "x"}, 200)
    refused(sim, 630008, "PUT", at, {"code": 0})
    seen = sim.must("GET", "/sim/requests?op=interaction_ack")["requests"]
    assert [s["status"] for s in seen] == [400, 400, 200, 400], seen
    assert seen[1]["headers"]["x-callback-appid"] == "1"


def main():
    passed = failed = 0
    for name, f in list(globals().items()):
        if not name.startswith("test_"):
            continue
        sim = QQSIM.Sim()
        try:
            sim.kept_token = sim.token()
            f(sim)
            sim.end()
            print("ok", name[5:], flush=True)
            passed += 1
        except Exception as e:  # pylint: disable=broad-except
            line = e.__traceback__
            while line.tb_next and line.tb_next.tb_frame.f_code.co_filename \
                    == __file__:
                line = line.tb_next
            print(f"not ok {name[5:]}\n# line {line.tb_lineno}: "
                  f"{type(e).__name__} {e}", flush=True)
            failed += 1
            sim.process.kill()
            sim.process.wait()
            print("# " + sim.log()[-1500:].replace("\n", "\n# "))
    print(f"# {passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
