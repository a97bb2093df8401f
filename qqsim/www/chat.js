/*
 * The chat page: what passes comes by /sim/stream, what a person does goes
 * out over /sim/event and /sim/fault.  Everything shown is set as text,
 * never as markup.
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
const FRAMES_MAX = 500, CHATS_MAX = 1000;

const $ = (id) => document.getElementById(id);
const state = { lang: "en", bots: [], chats: [], unread: new Set(),
	known: [], waiting: [], paused: false, linked: false };

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

function make(tag, className, text) {
	const e = document.createElement(tag);

	if (className)
		e.className = className;
	if (text !== undefined)
		e.textContent = text;
	return e;
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

function bubble(m) {
	const e = make("li", "bubble " + m.who);
	const meta = make("div", "meta");

	e.dataset.id = m.id;
	e.append(make("div", "body", m.text));
	meta.append(make("span", "", m.name), make("time", "",
	    clock(m.at_ms)));
	if (m.kind > 0)
		meta.append(make("span", "kind", t("kinds")[m.kind] || ""));
	if (m.recalled) {
		e.classList.add("recalled");
		meta.append(make("span", "", t("recalled")));
	}
	e.append(meta);
	return e;
}

function atEnd(list) {
	return list.scrollHeight - list.scrollTop - list.clientHeight < 60;
}

function showChats() {
	const { bot, conversation } = chosen(), log = $("log");
	const mine = state.chats.filter((m) => m.bot === bot &&
	    m.conversation === conversation);

	log.replaceChildren(...mine.map(bubble));
	if (mine.length === 0)
		log.append(make("li", "nothing", t("nothing")));
	log.scrollTop = log.scrollHeight;
	state.unread.delete($("who").value);
	nameOptions();
}

function onChat(m) {
	const log = $("log"), now = chosen(), end = atEnd(log);

	state.chats.push(m);
	if (state.chats.length > CHATS_MAX)
		state.chats.shift();
	addFrom(m.bot, m.conversation);
	if (m.bot !== now.bot || m.conversation !== now.conversation) {
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
	for (const m of state.chats)
		if (m.id === r.id && m.who === "bot" && !m.recalled) {
			m.recalled = true;
			showChats();
		}
}

async function send(event) {
	const text = $("text").value, { bot, conversation } = chosen();
	const scope = letters[conversation[0]];
	const body = { bot, scope, text, expect: -1 };

	event.preventDefault();
	if (!text.trim() || !scope)
		return;
	body[idMember[scope]] = conversation.slice(2);
	$("text").value = "";
	grow();
	try {
		const told = await ask("POST", "/sim/event", body);

		problem(told.sent === "nobody" ? t("nobody")
		    : told.sent === "kept" ? t("kept") : "");
	} catch (e) {
		problem(t("failed") + e.message);
	}
}

function grow() {
	const box = $("text");

	box.rows = Math.min(6, box.value.split("\n").length);
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

function toggleNew() {
	const form = $("new-form");

	form.hidden = !form.hidden;
	$("new").setAttribute("aria-expanded", String(!form.hidden));
	if (!form.hidden)
		$("new-id").focus();
}

function start() {
	$("lang").addEventListener("click", () =>
	    speak(state.lang === "zh" ? "en" : "zh"));
	$("who").addEventListener("change", showChats);
	$("new").addEventListener("click", toggleNew);
	$("new-form").addEventListener("submit", addNew);
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
	for (const name of ["frames", "faults"])
		$("tab-" + name).addEventListener("click", () =>
		    openTab(name));
	$("tabs").addEventListener("keydown", (e) => {
		if (e.key !== "ArrowLeft" && e.key !== "ArrowRight")
			return;
		openTab($("pane-frames").hidden ? "frames" : "faults");
		$("tabs").querySelector("[aria-selected=true]").focus();
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
