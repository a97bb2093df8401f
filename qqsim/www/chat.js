/*
 * The chat page: what passes comes by /sim/stream, what a person does goes
 * out over /sim/event and /sim/fault.  How a message looks stands in show.js.
 */
"use strict";

const words = {
	en: {
		skip: "Skip to the message box", chat: "Chat", with: "Chat with",
		other: "Other…", scope: "Kind", id: "Id", add: "Add",
		c2c: "User", group: "Group", channel: "Channel",
		dm: "Direct message", text: "Message", send: "Send",
		traffic: "Traffic", faults: "Faults", filter: "Filter",
		beats: "heartbeats", pause: "Pause", clear: "Clear",
		times: "times", ms: "ms", heal: "Clear all faults",
		faulthint: "Each button arms a fault. It strikes the next time a bot comes to that point.",
		sent: "events", replied: "answered", missing: "missing",
		doubled: "doubled", live: "bot online", away: "no bot connected",
		lost: "connection to qqsim lost, retrying",
		nothing: "Say something. What the bot answers appears here.",
		placeholder: "Message…",
		keys: "Enter sends, Shift+Enter begins a new line",
		quiet: "Frames, API calls and callbacks appear here as they pass.",
		idhint: "openid, channel id…", recalled: "recalled",
		nobody: "Nobody received it: no bot is connected.",
		kept: "The bot is away: kept until it resumes.",
		failed: "qqsim refused: ", toggle: "中文",
		opened: "WebSocket opened", closed: "WebSocket closed",
		strikes: "fault armed: ", noanswer: "no answer",
		events: "Events", kind: "Event", odd: "Odd forms",
		given: "Given members (JSON, put over the sample)",
		give: "Give it to the bot", sentto: "Sent: ",
		eventhint: "Every event the platform has, about the conversation chosen.",
		more: "More…", at: "mention the bot", role: "as",
		member: "member", admin: "admin", owner: "owner",
		quote: "Quote", recall: "Recall", react: "React",
		unquote: "Do not quote", attach: "Send pictures or files",
		remove: "Remove", typing: "is typing…",
		growing: "still writing", template: "Template",
		notJson: "This is not a JSON object.",
		denied: "This button is not for you.",
		unsupported: "A button of this kind only works in QQ itself.",
		ok: "OK", no: "Cancel", LIKE: "good answer",
		UNLIKE: "bad answer", pressing: "pressed",
		presses: { waiting: "…", done: "✓", unanswered: "(no answer)" },
		acks: { 1: "failed", 2: "too often", 3: "repeated",
			4: "no right", 5: "admins only" },
		deeds: { FRIEND_ADD: "added the bot", FRIEND_DEL: "removed the bot",
			C2C_MSG_REJECT: "switched active messages off",
			C2C_MSG_RECEIVE: "switched active messages on",
			ENTER_AIO: "opened the chat",
			GROUP_ADD_ROBOT: "added the bot to the group",
			GROUP_DEL_ROBOT: "removed the bot from the group",
			GROUP_MSG_REJECT: "switched active messages off",
			GROUP_MSG_RECEIVE: "switched active messages on",
			GROUP_MEMBER_ADD: "joined the group",
			GROUP_MEMBER_REMOVE: "left the group",
			GROUP_JOIN_REQUEST: "asks to join the group",
			GUILD_CREATE: "added the bot to the guild",
			GUILD_DELETE: "removed the bot from the guild",
			GUILD_MEMBER_ADD: "joined the guild",
			GUILD_MEMBER_REMOVE: "left the guild",
			SUBSCRIBE_MESSAGE_STATUS: "subscribed" },
		doing: { FRIEND_ADD: "Add the bot", FRIEND_DEL: "Remove the bot",
			C2C_MSG_REJECT: "Active messages off",
			C2C_MSG_RECEIVE: "Active messages on",
			ENTER_AIO: "Open the chat", GROUP_ADD_ROBOT: "Add the bot",
			GROUP_DEL_ROBOT: "Remove the bot",
			GROUP_MSG_REJECT: "Active messages off",
			GROUP_MSG_RECEIVE: "Active messages on",
			GROUP_MEMBER_ADD: "Join", GROUP_MEMBER_REMOVE: "Leave",
			GROUP_JOIN_REQUEST: "Ask to join",
			GUILD_CREATE: "Add the bot", GUILD_DELETE: "Remove the bot",
			GUILD_MEMBER_ADD: "Join", GUILD_MEMBER_REMOVE: "Leave" },
		kinds: { 2: "markdown", 3: "ark", 4: "embed", 7: "media" },
		points: { NOW: "Now, on live connections", CONNECT: "Next connect",
			IDENTIFY: "Next Identify", RESUME: "Next Resume",
			BEAT: "Next heartbeat", EVENT: "Next event",
			GATEWAY: "Gateway address", TOKEN: "Token",
			API: "Next API call", SEND: "Next send",
			WEBHOOK: "Next webhook" },
	},
	zh: {
		skip: "跳到输入框", chat: "聊天", with: "聊天对象",
		other: "其他…", scope: "类型", id: "标识", add: "添加",
		c2c: "单聊用户", group: "群聊", channel: "文字子频道",
		dm: "频道私信", text: "消息", send: "发送",
		traffic: "收发记录", faults: "故障注入", filter: "筛选",
		beats: "心跳", pause: "暂停", clear: "清空",
		times: "次数", ms: "毫秒", heal: "清除全部故障",
		faulthint: "每个按钮设置一个故障，机器人下次走到该环节时触发。",
		sent: "事件", replied: "已回复", missing: "未回复",
		doubled: "重复", live: "机器人在线", away: "没有机器人连接",
		lost: "与 qqsim 的连接断开，正在重试",
		nothing: "发条消息试试，机器人的回复会显示在这里。",
		placeholder: "输入消息…",
		keys: "Enter 发送，Shift+Enter 换行",
		quiet: "收发的帧、接口调用和回调会实时显示在这里。",
		idhint: "openid、子频道 id…", recalled: "已撤回",
		nobody: "没有机器人收到：当前没有机器人连接。",
		kept: "机器人暂时离线：恢复会话后补发。",
		failed: "qqsim 拒绝：", toggle: "English",
		opened: "WebSocket 已连接", closed: "WebSocket 已断开",
		strikes: "已设置故障：", noanswer: "无应答",
		events: "事件", kind: "事件类型", odd: "特殊格式",
		given: "指定字段（JSON，覆盖样例）",
		give: "发给机器人", sentto: "已发送：",
		eventhint: "平台的每一种事件，针对当前聊天对象。",
		more: "更多…", at: "@机器人", role: "身份",
		member: "成员", admin: "管理员", owner: "群主",
		quote: "引用", recall: "撤回", react: "表态",
		unquote: "取消引用", attach: "发送图片或文件",
		remove: "移除", typing: "正在输入…",
		growing: "生成中", template: "模板",
		notJson: "这不是 JSON 对象。",
		denied: "你没有权限点击这个按钮。",
		unsupported: "这种按钮只能在 QQ 客户端里使用。",
		ok: "确定", no: "取消", LIKE: "回答得好",
		UNLIKE: "回答不好", pressing: "点击了",
		presses: { waiting: "…", done: "✓", unanswered: "（无应答）" },
		acks: { 1: "操作失败", 2: "操作频繁", 3: "重复操作",
			4: "没有权限", 5: "仅管理员操作" },
		deeds: { FRIEND_ADD: "添加了机器人", FRIEND_DEL: "删除了机器人",
			C2C_MSG_REJECT: "关闭了主动消息",
			C2C_MSG_RECEIVE: "开启了主动消息",
			ENTER_AIO: "进入了聊天窗口",
			GROUP_ADD_ROBOT: "把机器人加进了群",
			GROUP_DEL_ROBOT: "把机器人移出了群",
			GROUP_MSG_REJECT: "关闭了主动消息",
			GROUP_MSG_RECEIVE: "开启了主动消息",
			GROUP_MEMBER_ADD: "加入了群聊",
			GROUP_MEMBER_REMOVE: "离开了群聊",
			GROUP_JOIN_REQUEST: "申请加入群聊",
			GUILD_CREATE: "把机器人加进了频道",
			GUILD_DELETE: "把机器人移出了频道",
			GUILD_MEMBER_ADD: "加入了频道",
			GUILD_MEMBER_REMOVE: "离开了频道",
			SUBSCRIBE_MESSAGE_STATUS: "订阅了消息" },
		doing: { FRIEND_ADD: "添加机器人", FRIEND_DEL: "删除机器人",
			C2C_MSG_REJECT: "关闭主动消息", C2C_MSG_RECEIVE: "开启主动消息",
			ENTER_AIO: "进入聊天窗口", GROUP_ADD_ROBOT: "添加机器人",
			GROUP_DEL_ROBOT: "移出机器人", GROUP_MSG_REJECT: "关闭主动消息",
			GROUP_MSG_RECEIVE: "开启主动消息", GROUP_MEMBER_ADD: "入群",
			GROUP_MEMBER_REMOVE: "退群", GROUP_JOIN_REQUEST: "申请入群",
			GUILD_CREATE: "添加机器人", GUILD_DELETE: "移出机器人",
			GUILD_MEMBER_ADD: "加入频道", GUILD_MEMBER_REMOVE: "退出频道" },
		kinds: { 2: "markdown", 3: "ark", 4: "embed", 7: "富媒体" },
		points: { NOW: "立即（作用于现有连接）", CONNECT: "下次连接",
			IDENTIFY: "下次鉴权", RESUME: "下次恢复会话",
			BEAT: "下次心跳", EVENT: "下次事件",
			GATEWAY: "网关地址", TOKEN: "访问凭证",
			API: "下次接口调用", SEND: "下次发消息",
			WEBHOOK: "下次回调" },
	},
};
const ops = { 0: "Dispatch", 1: "Heartbeat", 2: "Identify", 6: "Resume",
	7: "Reconnect", 9: "Invalid Session", 10: "Hello", 11: "Heartbeat ACK" };
const letters = { u: "c2c", g: "group", c: "channel", d: "dm" };
const idMember = { c2c: "user", group: "group", channel: "channel",
	dm: "guild" };
/* What a person can do beside talking. */
const deeds = {
	c2c: ["FRIEND_ADD", "FRIEND_DEL", "C2C_MSG_REJECT", "C2C_MSG_RECEIVE",
		"ENTER_AIO"],
	group: ["GROUP_ADD_ROBOT", "GROUP_DEL_ROBOT", "GROUP_MSG_REJECT",
		"GROUP_MSG_RECEIVE", "GROUP_MEMBER_ADD", "GROUP_MEMBER_REMOVE",
		"GROUP_JOIN_REQUEST"],
	channel: ["GUILD_CREATE", "GUILD_DELETE", "GUILD_MEMBER_ADD",
		"GUILD_MEMBER_REMOVE"],
	dm: ["GUILD_CREATE", "GUILD_DELETE"],
};
/* [the platform's type, its id, what is shown] */
const reactions = [[2, "128077", "👍"], [2, "10084", "❤"], [2, "128516", "😄"],
	[2, "127881", "🎉"], [1, "4", "[得意]"], [1, "76", "[赞]"]];
/* Who the person at this page is. */
const me = { group: "0A1B2C3D4E5F60718293A4B5C6D7E8F1",
	guild: "1440000000000000001" };
const roleIds = { member: "1", admin: "2", owner: "4" };
const FRAMES_MAX = 500, CHATS_MAX = 1000, ACK_WITHIN_MS = 5000;

const $ = (id) => document.getElementById(id);
const state = { lang: "en", origin: "", bots: [], chats: [],
	unread: new Set(), known: [], kinds: [], waiting: [], paused: false,
	linked: false, quote: null, picked: [],
	acks: new Map(),         /* interaction: code */
	mine: new Map(),         /* interaction: what was pressed here */
	typing: new Map() };     /* conversation: timer */

/* Storage may be forbidden; then a choice lasts as long as the page. */
function remember(key, value) {
	try {
		localStorage.setItem(key, value);
	} catch (e) {
		return;
	}
}

function recall(key) {
	try {
		return localStorage.getItem(key);
	} catch (e) {
		return null;
	}
}

function t(key) {
	return words[state.lang][key];
}

function clock(ms) {
	return new Date(ms).toLocaleTimeString(state.lang === "zh" ? "zh-CN"
	    : "en-GB", { hour12: false });
}

/* --- talking to the simulator --------------------------------------------- */

async function ask(method, path, body) {
	const answer = await fetch(path, { method,
		headers: body ? { "Content-Type": "application/json" } : {},
		body: body ? JSON.stringify(body) : undefined });
	const json = await answer.json();

	if (!answer.ok)
		throw new Error(json.error || String(answer.status));
	return json;
}

function problem(text) {
	$("problem").hidden = !text;
	$("problem").textContent = text || "";
}

/* --- who we talk to ---------------------------------------------------------- */

function chosen() {
	const value = $("who").value, at = value.indexOf("/");

	return { bot: value.slice(0, at), conversation: value.slice(at + 1) };
}

function optionText(c) {
	const dot = state.unread.has(c.key) ? "● " : "";
	const id = c.id.length > 12 ? c.id.slice(0, 6) + "…" : c.id;

	return dot + (c.name ? c.name : id);
}

function groupFor(scope) {
	return $("who").querySelector(`optgroup[data-scope="${scope}"]`);
}

function addConversation(c) {
	let option;

	c.key = c.bot + "/" + c.conversation;
	option = [...$("who").options].find((o) => o.value === c.key);
	if (!option) {
		option = make("option");
		option.value = c.key;
		option.about = c;
		groupFor(c.scope).append(option);
	}
	if (c.name)
		option.about.name = c.name;
	option.textContent = optionText(option.about);
	return option;
}

function nameOptions() {
	for (const group of $("who").querySelectorAll("optgroup"))
		group.label = t(group.dataset.scope);
	for (const option of $("who").options)
		option.textContent = optionText(option.about);
}

function addFrom(bot, conversation) {
	const scope = letters[conversation[0]];

	if (scope)
		addConversation({ bot, conversation, scope, name: "",
			id: conversation.slice(2) });
}

/* --- chat ------------------------------------------------------------------------ */

function isHere(m) {
	const now = chosen();

	return m.bot === now.bot && m.conversation === now.conversation;
}

function find(bot, id) {
	return state.chats.find((m) => m.bot === bot && m.id === id);
}

function act(label, name, fn) {
	const b = make("button", "act", label);

	b.type = "button";
	b.dataset.act = name;
	b.addEventListener("click", fn);
	return b;
}

function reactionButtons(m) {
	const box = make("div", "reactions");

	for (const [type, id, label] of reactions) {
		const on = (m.reactions || []).includes(type + ":" + id);
		const b = act(label, "react-" + id, () => react(m, type, id));

		if (!on && !m.reacting)
			continue;
		b.setAttribute("aria-pressed", String(on));
		box.append(b);
	}
	return box;
}

function acts(m) {
	const box = make("span", "acts"), letter = m.conversation[0];

	if (m.recalled)
		return box;
	box.append(act(t("quote"), "quote", () => quote(m)));
	if (letter === "c")
		box.append(act(t("react"), "react", () => {
			m.reacting = !m.reacting;
			redraw(m);
		}));
	if (m.who === "user" && (letter === "c" || letter === "d"))
		box.append(act(t("recall"), "recall", () => takeBack(m)));
	return box;
}

function isMessage(m) {
	return m.who === "bot" || !m.t || /MESSAGE_CREATE$/.test(m.t);
}

/* What somebody did, in one line. */
function notice(m) {
	const e = make("li", "notice"), d = m.d || {};
	const name = m.name || d.username || "";

	e.dataset.id = m.id;
	e.dataset.t = m.t;
	if (m.t === "INTERACTION_CREATE") {
		const data = d.data && d.data.resolved || {};
		const code = state.acks.get(m.id);

		e.textContent = `${name} ${t("pressing")} “${
		    data.button_data ?? data.button_id ?? ""}”${
		    code === undefined ? "" : code === 0 ? " ✓"
		    : " ✗ " + (t("acks")[code] || code)}`;
	} else {
		e.textContent = `${name} ${t("deeds")[m.t] || m.t}`;
	}
	e.append(" ", make("time", "", clock(m.at_ms)));
	return e;
}

function bubble(m) {
	const e = make("li", "bubble " + m.who);
	const meta = make("div", "meta"), quoted = quoteOf(m);
	const growing = m.body && m.body.stream_over === false;

	if (!isMessage(m))
		return notice(m);
	e.dataset.id = m.id;
	if (quoted)
		e.append(quoted);
	e.append(...m.who === "bot" ? contentOf(m) : saidBy(m));
	meta.append(make("span", "", m.name), make("time", "",
	    clock(m.at_ms)));
	if (m.kind > 0)
		meta.append(make("span", "kind", t("kinds")[m.kind] || ""));
	if (growing) {
		e.classList.add("growing");
		meta.append(make("span", "kind", t("growing")));
	}
	if (m.recalled) {
		e.classList.add("recalled");
		meta.append(make("span", "", t("recalled")));
	}
	meta.append(acts(m));
	if (m.conversation[0] === "c")
		e.append(reactionButtons(m));
	e.append(meta);
	return e;
}

function atEnd(list) {
	return list.scrollHeight - list.scrollTop - list.clientHeight < 60;
}

/* Draws one message anew, and leaves the focus where it was. */
function redraw(m) {
	const log = $("log"), end = atEnd(log);
	const old = isHere(m) && [...log.children].find((e) =>
	    e.dataset.id === m.id);

	if (!old)
		return;
	const focused = old.contains(document.activeElement) &&
	    document.activeElement.dataset;
	const next = bubble(m);

	old.replaceWith(next);
	if (focused)
		[...next.querySelectorAll("button, a")].find((e) =>
		    (focused.act && e.dataset.act === focused.act) ||
		    (focused.button && e.dataset.button === focused.button)
		)?.focus();
	if (end)
		log.scrollTop = log.scrollHeight;
}

function showChats() {
	const log = $("log"), mine = state.chats.filter(isHere);

	log.replaceChildren(...mine.map(bubble));
	if (mine.length === 0)
		log.append(make("li", "nothing", t("nothing")));
	showTyping();
	log.scrollTop = log.scrollHeight;
	state.unread.delete($("who").value);
	nameOptions();
	showDeeds();
	quote(null);
}

/* Something about a message that is there already; true: no more than that. */
function changes(m) {
	const d = m.d || {};
	const of = (id) => id && find(m.bot, String(id));

	if (/^MESSAGE_REACTION_/.test(m.t)) {
		const target = of(d.target && d.target.id), e = d.emoji || {};
		const key = e.type + ":" + e.id;

		if (!target)
			return false;
		target.reactions = (target.reactions || []).filter((k) =>
		    k !== key);
		if (m.t === "MESSAGE_REACTION_ADD")
			target.reactions.push(key);
		redraw(target);
		return true;
	}
	if (/MESSAGE_DELETE$/.test(m.t)) {
		const target = of(d.message && d.message.id);

		if (target) {
			target.recalled = true;
			redraw(target);
		}
		return Boolean(target);
	}
	if (m.t === "INTERACTION_CREATE") {
		const data = d.data && d.data.resolved || {};
		const mine = state.mine.get(m.id);

		press(mine ? mine.message : of(data.message_id),
		    mine ? mine.button : data.button_id, m.id);
	}
	return false;
}

function onChat(m) {
	const log = $("log"), end = atEnd(log), old = find(m.bot, m.id);

	addFrom(m.bot, m.conversation);
	if (m.who === "bot")
		stopTyping(m.bot + "/" + m.conversation);
	if (old) {
		Object.assign(old, m);
		redraw(old);
		return;
	}
	if (m.who === "user" && m.t && changes(m))
		return;
	state.chats.push(m);
	if (state.chats.length > CHATS_MAX)
		state.chats.shift();
	if (!isHere(m)) {
		state.unread.add(m.bot + "/" + m.conversation);
		nameOptions();
		return;
	}
	log.querySelector(".nothing")?.remove();
	log.append(bubble(m));
	if (end || m.who === "user")
		log.scrollTop = log.scrollHeight;
}

function onRecall(r) {
	const m = find(r.bot, r.id);

	if (m) {
		m.recalled = true;
		redraw(m);
	}
}

function onAck(a) {
	state.acks.set(a.id, a.code);
	for (const m of state.chats)
		if (m.id === a.id || Object.values(m.presses || {}).some((p) =>
		    p.interaction === a.id))
			redraw(m);
}

/* --- somebody is typing ----------------------------------------------------------- */

function showTyping() {
	const line = $("log").querySelector(".typing");
	const on = state.typing.has($("who").value);

	line?.remove();
	if (!on)
		return;
	const name = state.bots.find((b) => b.bot === chosen().bot);

	$("log").append(make("li", "typing", `${name ? name.name : ""} ${
	    t("typing")}`));
	$("log").scrollTop = $("log").scrollHeight;
}

function stopTyping(key) {
	clearTimeout(state.typing.get(key));
	state.typing.delete(key);
	showTyping();
}

function onTyping(o) {
	const key = o.bot + "/" + o.conversation;

	clearTimeout(state.typing.get(key));
	state.typing.set(key, setTimeout(() => stopTyping(key),
	    Math.min(o.seconds || 10, 60) * 1000));
	showTyping();
}

/* --- what a person does -------------------------------------------------------------- */

/* What the person at this page is called. */
function myName(scope) {
	const option = $("who").selectedOptions[0];

	return (scope === "c2c" || scope === "dm") && option &&
	    option.about.name || "小明 Ming";
}

/* An event about the conversation that is chosen. */
async function give(words) {
	const { bot, conversation } = chosen();
	const scope = letters[conversation[0]];
	const body = { bot, scope, name: myName(scope),
		role: $("role").value, expect: -1,
		[idMember[scope]]: conversation.slice(2), ...words };

	if (scope === "group")
		body.user = body.user || me.group;
	try {
		const told = await ask("POST", "/sim/event", body);

		problem(told.sent === "nobody" ? t("nobody")
		    : told.sent === "kept" ? t("kept") : "");
		return told;
	} catch (e) {
		problem(t("failed") + e.message);
		return null;
	}
}

/* An id of our own, where we must know it before the event is made. */
function freshId(prefix) {
	return prefix + "page" + [...crypto.getRandomValues(new Uint8Array(8))]
	    .map((b) => b.toString(16).padStart(2, "0")).join("");
}

function kindOfMessage(scope) {
	return { c2c: "C2C_MESSAGE_CREATE", dm: "DIRECT_MESSAGE_CREATE",
		group: $("at").checked ? "GROUP_AT_MESSAGE_CREATE"
		    : "GROUP_MESSAGE_CREATE",
		channel: $("at").checked ? "AT_MESSAGE_CREATE"
		    : "MESSAGE_CREATE" }[scope];
}

/* What a quote adds to a message with this id. */
function quoting(m, id) {
	if (!m)
		return {};
	if (/^[cd]/.test(m.conversation))
		return { message_reference: { message_id: m.id } };
	return { message_type: 103,
		message_scene: { source: "default", ext: [
			"ref_msg_idx=" + indexOf(m.id),
			"msg_idx=" + indexOf(id)] },
		msg_elements: [{ msg_idx: indexOf(m.id), message_type: 0,
			content: plainText(m) }] };
}

async function sendText(text) {
	const scope = letters[chosen().conversation[0]];
	const id = freshId("ROBOT1.0_");
	const extra = { id, ...quoting(state.quote, id) };

	if (!scope || (!text.trim() && state.picked.length === 0))
		return;
	try {
		if (state.picked.length > 0)
			extra.attachments = await upload(state.picked);
	} catch (e) {
		problem(t("failed") + e.message);
		return;
	}
	state.picked = [];
	showPicked();
	quote(null);
	await give({ t: kindOfMessage(scope), text, with: extra });
}

function send(event) {
	const text = $("text").value;

	event.preventDefault();
	if (!text.trim() && state.picked.length === 0)
		return;
	fillBox("");
	sendText(text);
}

function grow() {
	const box = $("text");

	box.rows = Math.min(6, box.value.split("\n").length);
}

function fillBox(text) {
	$("text").value = text;
	grow();
	$("text").focus();
}

function quote(m) {
	state.quote = m;
	$("quoting").hidden = !m;
	$("quoting").firstElementChild.textContent = m
	    ? `${t("quote")}: ${plainText(m).slice(0, 80)}` : "";
	if (m)
		$("text").focus();
}

function takeBack(m) {
	const guild = m.d && m.d.guild_id;

	return give({ t: m.t === "DIRECT_MESSAGE_CREATE"
	    ? "DIRECT_MESSAGE_DELETE" : m.t === "MESSAGE_CREATE"
	    ? "MESSAGE_DELETE" : "PUBLIC_MESSAGE_DELETE", message: m.id,
	    ...guild ? { guild: String(guild) } : {} });
}

function react(m, type, id) {
	const on = (m.reactions || []).includes(type + ":" + id);

	return give({ t: on ? "MESSAGE_REACTION_REMOVE"
	    : "MESSAGE_REACTION_ADD", message: m.id, emoji: id,
	    emoji_type: type });
}

function showDeeds() {
	const scope = letters[(chosen().conversation || "u")[0]];

	$("how").hidden = scope !== "group" && scope !== "channel";
	$("deeds").replaceChildren(...(deeds[scope] || []).map((kind) =>
	    act(t("doing")[kind], kind, () => give({ t: kind }))));
}

/* --- buttons of bots ------------------------------------------------------------------ */

function allowed(m, permission) {
	const guild = /^[cd]/.test(m.conversation), role = $("role").value;
	const id = guild ? me.guild : m.conversation[0] === "g" ? me.group
	    : m.conversation.slice(2);

	switch (permission && permission.type) {
	case 0:
		return (permission.specify_user_ids || []).includes(id);
	case 1:
		return m.conversation[0] === "u" || role !== "member";
	case 3:
		return guild && (permission.specify_role_ids || [])
		    .includes(roleIds[role]);
	default:
		return true;
	}
}

/* Asks the person, as a button's modal wants it. */
function confirmed(modal) {
	$("ask-what").textContent = modal.content || "";
	$("ask-yes").textContent = modal.confirm_text || t("ok");
	$("ask-no").textContent = modal.cancel_text || t("no");
	$("ask").returnValue = "";
	$("ask").showModal();
	return new Promise((resolve) => $("ask").addEventListener("close",
	    () => resolve($("ask").returnValue === "yes"), { once: true }));
}

function press(m, button, interaction) {
	if (!m || button === undefined)
		return;
	if (m.presses && m.presses[button] &&
	    m.presses[button].interaction === interaction)
		return;
	const one = { interaction, late: false };

	m.presses = { ...m.presses, [button]: one };
	setTimeout(() => {
		one.late = true;
		redraw(m);
	}, ACK_WITHIN_MS);
	redraw(m);
}

async function callBack(m, b, data) {
	const id = freshId("interaction-");

	state.mine.set(id, { message: m, button: b.id });
	press(m, b.id, id);
	/* Groups are not told of which message the button is. */
	await give({ t: "INTERACTION_CREATE", button: data, with: { id, data: {
		resolved: { button_id: b.id,
			...m.conversation[0] === "g" ? {}
			    : { message_id: m.id } } } } });
}

async function pressed(m, b) {
	const action = b.action || {}, data = String(action.data ?? "");

	if (!allowed(m, action.permission)) {
		problem(t("denied"));
		return;
	}
	problem("");
	if (action.modal && !await confirmed(action.modal))
		return;
	if (action.type === 1) {
		await callBack(m, b, data);
	} else if (action.type === 2) {
		if (action.reply)
			quote(m);
		if (action.enter && m.conversation[0] === "u")
			await sendText(data);
		else
			fillBox(data);
	} else if (action.type === 4) {
		await give({ t: "SUBSCRIBE_MESSAGE_STATUS", with: {
			result: (action.subscribe_data || {}).template_ids?.map(
			    (row) => ({ ...row, op: 1,
				subscribe_id: freshId("sub-"),
				update_ts: Math.floor(Date.now() / 1000) }))
			    || [] } });
	} else {
		problem(action.unsupport_tips || t("unsupported"));
	}
}

async function giveFeedback(m, opt) {
	m.feedback = opt;
	redraw(m);
	await give({ t: "INTERACTION_CREATE", with: { type: 13, data: {
		type: 13, resolved: { message_id: m.id, feedback_opt: opt,
			checked: 1, message_scene: { ext: [
				"msg_idx=" + indexOf(m.id)] } } } } });
}

/* --- pictures and files ------------------------------------------------------------------ */

function showPicked() {
	$("picked").hidden = state.picked.length === 0;
	$("picked").replaceChildren(...state.picked.map((f, i) => {
		const li = make("li", "", f.name + " ");
		const b = act("×", "remove", () => {
			state.picked.splice(i, 1);
			showPicked();
		});

		b.setAttribute("aria-label", t("remove") + " " + f.name);
		li.append(b);
		return li;
	}));
}

function pick() {
	state.picked.push(...$("file").files);
	$("file").value = "";
	showPicked();
	$("text").focus();
}

function base64(file) {
	return new Promise((resolve, reject) => {
		const reader = new FileReader();

		reader.onload = () => resolve(reader.result.split(",")[1] || "");
		reader.onerror = () => reject(reader.error);
		reader.readAsDataURL(file);
	});
}

async function sizeOf(file) {
	try {
		const { width, height } = await createImageBitmap(file);

		return { width, height };
	} catch (e) {
		return {};
	}
}

function upload(files) {
	return Promise.all(files.map(async (file) => {
		const kept = await ask("POST", "/sim/file", { name: file.name,
			data: await base64(file) });

		return /^image\//.test(kept.content_type)
		    ? { ...kept, ...await sizeOf(file) } : kept;
	}));
}

/* --- every kind of event -------------------------------------------------------------------- */

function showSample() {
	const kind = state.kinds.find((k) => k.t === $("kind").value);

	$("sample").textContent = kind ? JSON.stringify(kind.d, null, 2) : "";
}

async function showKinds() {
	if (state.kinds.length > 0)
		return;
	const { kinds, odd } = await ask("GET", "/sim/event");

	state.kinds = kinds;
	$("kind").replaceChildren(...kinds.map((k) => new Option(k.t, k.t)));
	$("odd").replaceChildren(...Object.entries(odd).map(([name, meaning]) => {
		const label = make("label", "check"), box = make("input");

		box.type = "checkbox";
		box.value = name;
		label.title = meaning;
		label.append(box, " " + name);
		return label;
	}));
	showSample();
}

async function giveEvent(event) {
	let given;

	event.preventDefault();
	try {
		given = JSON.parse($("with").value || "{}");
	} catch (e) {
		given = null;
	}
	if (!given || typeof given !== "object" || Array.isArray(given)) {
		$("given").textContent = t("notJson");
		return;
	}
	const told = await give({ t: $("kind").value, with: given,
		odd: [...$("odd").querySelectorAll(":checked")].map((b) =>
		    b.value).join(" ") });

	$("given").textContent = told ? t("sentto") + told.sent : "";
}

/* --- traffic ------------------------------------------------------------------------ */

function describe(o) {
	switch (o.type) {
	case "frame": {
		const op = o.data && o.data.op;

		return { way: o.way === "in" ? "→" : "←", beat: op === 1 ||
		    op === 11, what: op === 0
		    ? `${o.data.t} s=${o.data.s}`
		    : `${ops[op] || "?"} (op ${op})` };
	}
	case "call":
		return { way: "⇄", bad: o.status >= 400 || o.status === 0,
			what: `${o.method} ${o.path} ${o.status ||
			    t("noanswer")}` };
	case "webhook":
		return { way: "⇢", bad: o.status !== 200,
			what: `webhook ${o.request && o.request.t || "op 13"} ${
			    o.status || t("noanswer")}` };
	case "socket":
		return { way: "·", bad: o.state === "closed",
			what: `${t(o.state === "open" ? "opened"
			    : "closed")} #${o.conn} ${o.code || ""}` };
	default:
		return { way: "!", bad: true, what: t("strikes") + o.fault };
	}
}

function fits(row) {
	const filter = $("filter").value.toLowerCase();

	return ($("beats").checked || !row.about.beat) &&
	    (!filter || row.text.toLowerCase().includes(filter));
}

function frameRow(o) {
	const about = describe(o), li = make("li", about.bad ? "bad" : "");
	const details = make("details"), summary = make("summary");

	li.row = { about, text: about.what + JSON.stringify(o) };
	summary.append(make("time", "", clock(o.at_ms)),
	    make("span", "way", about.way), make("span", "what", about.what));
	details.append(summary);
	details.addEventListener("toggle", () => {
		if (details.open && !details.querySelector("pre"))
			details.append(make("pre", "", JSON.stringify(o, null,
			    2)));
	});
	li.append(details);
	li.hidden = !fits(li.row);
	return li;
}

function showFrames() {
	const list = $("frames"), end = atEnd(list);

	if (state.paused || state.waiting.length === 0)
		return;
	list.append(...state.waiting.splice(0).map(frameRow));
	while (list.childElementCount > FRAMES_MAX)
		list.firstElementChild.remove();
	if (end)
		list.scrollTop = list.scrollHeight;
}

function onTraffic(o) {
	state.waiting.push(o);
	if (state.waiting.length > FRAMES_MAX)
		state.waiting.shift();
	if (state.waiting.length === 1)
		requestAnimationFrame(showFrames);
}

function filterFrames() {
	for (const li of $("frames").children)
		li.hidden = !fits(li.row);
}

function pause() {
	state.paused = !state.paused;
	$("pause").setAttribute("aria-pressed", String(state.paused));
	showFrames();
}

/* --- faults --------------------------------------------------------------------------- */

async function arm(f) {
	const body = { fault: f.fault };

	if (f.when !== "NOW")
		body.count = Number($("fault-count").value) || 1;
	else if (f.fault === "stall")
		body.for_ms = Number($("fault-ms").value) || 3000;
	if (f.takes.split(" ").includes("ms"))
		body.ms = Number($("fault-ms").value) || 3000;
	try {
		await ask("POST", "/sim/fault", body);
		problem("");
	} catch (e) {
		problem(t("failed") + e.message);
	}
	showFaults();
}

function faultButtons() {
	const sets = new Map();

	for (const f of state.known) {
		const button = make("button", "", f.fault);

		button.type = "button";
		button.title = f.meaning;
		button.dataset.fault = f.fault;
		button.addEventListener("click", () => arm(f));
		if (!sets.has(f.when))
			sets.set(f.when, make("div", "set"));
		sets.get(f.when).append(button);
	}
	$("faults").replaceChildren(...[...sets].flatMap(([when, set]) =>
	    [make("h3", "", t("points")[when] || when), set]));
}

async function showFaults() {
	const { active, known } = await ask("GET", "/sim/fault");

	if (state.known.length === 0) {
		state.known = known;
		faultButtons();
	}
	$("active").replaceChildren(...active.map((f) => make("li", "",
	    f.fault + (f.left ? " ×" + f.left : ""))));
}

async function heal() {
	await ask("DELETE", "/sim/fault");
	showFaults();
}

/* --- how things are ---------------------------------------------------------------------- */

function showState() {
	const live = state.bots.some((b) => b.webhook ||
	    b.sessions.some((s) => s.live));

	$("state").className = !state.linked ? "away" : live ? "live" : "away";
	$("state").textContent = !state.linked ? t("lost")
	    : t(live ? "live" : "away");
}

async function look() {
	try {
		const now = await ask("GET", "/sim/state");
		const report = await ask("GET", "/sim/report");

		state.bots = now.bots;
		state.origin = now.url;
		state.linked = true;
		for (const c of now.conversations)
			addConversation(c);
		for (const name of ["sent", "replied", "missing", "doubled"])
			$("n-" + name).textContent = report.total[name];
		$("n-doubled").parentElement.classList.toggle("wrong",
		    report.total.doubled > 0);
		if (!$("pane-faults").hidden)
			await showFaults();
	} catch (e) {
		state.linked = false;
	}
	showState();
}

let due = 0;
function lookSoon() {
	if (!due)
		due = setTimeout(() => { due = 0; look(); }, 200);
}

function connect(delay) {
	const scheme = location.protocol === "https:" ? "wss:" : "ws:";
	const socket = new WebSocket(`${scheme}//${location.host}/sim/stream`);

	socket.onopen = () => {
		delay = 500;
		state.chats = [];
		state.linked = true;
		showChats();
		showState();
	};
	socket.onmessage = (m) => {
		const o = JSON.parse(m.data);

		if (o.type === "chat")
			onChat(o);
		else if (o.type === "recall")
			onRecall(o);
		else if (o.type === "ack")
			onAck(o);
		else if (o.type === "typing")
			onTyping(o);
		else
			onTraffic(o);
		lookSoon();
	};
	socket.onclose = () => {
		state.linked = false;
		showState();
		setTimeout(() => connect(Math.min(delay * 2, 5000)), delay);
	};
}

/* --- language, tabs, the rest --------------------------------------------------------------- */

function speak(lang) {
	state.lang = lang;
	remember("lang", lang);
	document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
	for (const e of document.querySelectorAll("[data-t]"))
		e.textContent = t(e.dataset.t);
	$("lang").textContent = t("toggle");
	$("text").placeholder = t("placeholder");
	$("text").title = t("keys");
	$("frames").dataset.quiet = t("quiet");
	$("new-id").placeholder = t("idhint");
	$("filter").placeholder = t("filter");
	for (const name of ["attach", "unquote"]) {
		$(name).title = t(name);
		$(name).setAttribute("aria-label", t(name));
	}
	nameOptions();
	showState();
	showChats();
	faultButtons();
}

function openTab(name) {
	for (const tab of $("tabs").children) {
		const on = tab.id === "tab-" + name;

		tab.setAttribute("aria-selected", String(on));
		tab.tabIndex = on ? 0 : -1;
		$(tab.getAttribute("aria-controls")).hidden = !on;
	}
	if (name === "faults")
		showFaults();
	if (name === "events")
		showKinds();
}

function addNew(event) {
	const scope = $("new-scope").value, id = $("new-id").value.trim();
	const letter = Object.keys(letters).find((l) => letters[l] === scope);

	event.preventDefault();
	if (!id)
		return;
	addConversation({ bot: chosen().bot, scope, id, name: "",
		conversation: letter + ":" + id }).selected = true;
	$("new-id").value = "";
	toggleNew();
	showChats();
	$("text").focus();
}

function toggle(button, what) {
	$(what).hidden = !$(what).hidden;
	$(button).setAttribute("aria-expanded", String(!$(what).hidden));
	return !$(what).hidden;
}

function toggleNew() {
	if (toggle("new", "new-form"))
		$("new-id").focus();
}

function start() {
	$("lang").addEventListener("click", () =>
	    speak(state.lang === "zh" ? "en" : "zh"));
	$("who").addEventListener("change", showChats);
	$("new").addEventListener("click", toggleNew);
	$("new-form").addEventListener("submit", addNew);
	$("more").addEventListener("click", () => toggle("more", "deeds"));
	$("attach").addEventListener("click", () => $("file").click());
	$("file").addEventListener("change", pick);
	$("unquote").addEventListener("click", () => quote(null));
	$("kind").addEventListener("change", showSample);
	$("event").addEventListener("submit", giveEvent);
	$("compose").addEventListener("submit", send);
	$("text").addEventListener("input", grow);
	$("text").addEventListener("keydown", (e) => {
		if (e.key === "Enter" && !e.shiftKey && !e.isComposing)
			send(e);
	});
	$("pause").addEventListener("click", pause);
	$("clear").addEventListener("click", () =>
	    $("frames").replaceChildren());
	$("filter").addEventListener("input", filterFrames);
	$("beats").addEventListener("change", filterFrames);
	$("heal").addEventListener("click", heal);
	for (const name of ["frames", "events", "faults"])
		$("tab-" + name).addEventListener("click", () =>
		    openTab(name));
	$("tabs").addEventListener("keydown", (e) => {
		if (e.key !== "ArrowLeft" && e.key !== "ArrowRight")
			return;
		const tabs = [...$("tabs").children];
		const at = tabs.findIndex((tab) => tab.tabIndex === 0);
		const next = tabs[(at + (e.key === "ArrowRight" ? 1
		    : tabs.length - 1)) % tabs.length];

		openTab(next.id.slice(4));
		next.focus();
	});
	speak(recall("lang") ||
	    (navigator.language.startsWith("zh") ? "zh" : "en"));
	setInterval(look, 5000);
	look().then(() => {
		$("who").selectedIndex = 0;
		connect(500);
	});
}

start();
