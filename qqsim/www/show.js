/*
 * What a message looks like.  Everything is made of elements and text; no
 * string of anybody's is ever taken as markup, and no address of anybody's is
 * fetched: only files that qqsim itself holds are shown, others are linked.
 */
"use strict";

const faces = { 4: "得意", 5: "流泪", 8: "睡", 9: "大哭", 10: "尴尬", 12: "调皮",
	14: "微笑", 16: "酷", 21: "可爱", 23: "傲慢", 24: "饥饿", 25: "困",
	26: "惊恐", 27: "流汗", 28: "憨笑", 29: "悠闲", 30: "奋斗", 32: "疑问",
	33: "嘘", 34: "晕", 38: "敲打", 39: "再见", 41: "发抖", 42: "爱情",
	43: "跳跳", 49: "拥抱", 53: "蛋糕", 60: "咖啡", 63: "玫瑰", 66: "爱心",
	74: "太阳", 75: "月亮", 76: "赞", 78: "握手", 79: "胜利", 85: "飞吻",
	89: "西瓜", 96: "冷汗", 97: "擦汗", 98: "抠鼻", 99: "鼓掌", 100: "糗大了" };
const DEPTH_MAX = 8;

function make(tag, className, text) {
	const e = document.createElement(tag);

	if (className)
		e.className = className;
	if (text !== undefined)
		e.textContent = text;
	return e;
}

/* --- addresses ------------------------------------------------------------ */

/* Where qqsim serves this file; empty when it does not hold it. */
function here(address) {
	try {
		const u = new URL(address, location);

		return (u.origin === location.origin ||
		    u.origin === state.origin) &&
		    /^\/files\/\d+$/.test(u.pathname) ? u.pathname : "";
	} catch (e) {
		return "";
	}
}

function link(address, label) {
	let url;

	try {
		url = new URL(address);
	} catch (e) {
		url = null;
	}
	if (!url || !/^https?:$/.test(url.protocol))
		return make("span", "dead", label || address);
	const a = make("a", "", label || address);

	a.href = url.href;
	a.target = "_blank";
	a.rel = "noopener noreferrer";
	return a;
}

function picture(address, alt, width, height) {
	const at = here(address);

	if (!at)
		return link(address, "🖼 " + (alt || address));
	const img = make("img");

	img.src = at;
	img.alt = alt || "";
	if (width && height) {
		img.width = Math.min(width, 2000);
		img.height = Math.min(height, 2000);
	}
	return img;
}

/* A picture, a video, a voice or a file. */
function media(type, address, name) {
	const at = here(address), box = make("div", "media");
	const play = /^video\//.test(type) ? "video"
	    : type === "voice" || /^audio\//.test(type) ? "audio" : "";

	if (at && /^image\//.test(type)) {
		box.append(picture(address, name));
	} else if (at && play) {
		const e = make(play);

		e.controls = true;
		e.preload = "metadata";
		e.src = at;
		e.setAttribute("aria-label", name || play);
		box.append(e);
	} else if (at) {
		const a = make("a", "file", "📄 " + (name || at));

		a.href = at;
		a.download = name || "";
		box.append(a);
	} else {
		const label = "📎 " + (name || address || type);

		box.append(address ? link(address, label)
		    : make("span", "", label));
	}
	return box;
}

/* --- text with mentions and faces -------------------------------------------- */

function unescaped(text) {
	return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">")
	    .replaceAll("&amp;", "&");
}

function face(id) {
	const e = make("span", "face", "[" + (faces[id] || "emoji " + id) + "]");

	e.title = "emoji:" + id;
	return e;
}

function mention(id) {
	const bot = state.bots.find((b) => b.user_id === id);
	const short = id.length > 12 ? id.slice(0, 6) + "…" : id;

	return make("span", "mention", "@" + (bot ? bot.name : short));
}

function attributes(text) {
	const found = {};

	for (const [, key, value] of text.matchAll(/(\w+)="([^"]*)"/g))
		found[key] = value;
	return found;
}

function decode(text) {
	try {
		return decodeURIComponent(text || "");
	} catch (e) {
		return text || "";
	}
}

/* A command in markdown: it is sent, or put into the box. */
function command(how, given) {
	const about = attributes(given), text = decode(about.text);
	const b = make("button", "command", decode(about.show) || text);

	b.type = "button";
	b.addEventListener("click", () => how === "enter" ? sendText(text)
	    : fillBox(text));
	return b;
}

const tokens = new RegExp([
	/<@!?([\w-]+)>/, /<#([\w-]+)>/, /<emoji:(\d+)>/,
	/<faceType=\d+,\s*faceId="(\d+)"[^>]*>/,
	/<qqbot-at-user\s+id="([^"]*)"\s*\/>/,
	/(<qqbot-at-everyone\s*\/>|@everyone)/,
	/<qqbot-cmd-(enter|input)\s+([^>]*?)\/>/,
	/(https?:\/\/[^\s<>"'）】]+)/,
].map((r) => r.source).join("|"), "g");

/* escaped: &lt; and its like stand for themselves otherwise. */
function addText(parent, text, escaped) {
	let from = 0;
	const plain = (s) => s && parent.append(escaped ? unescaped(s) : s);

	for (const m of text.matchAll(tokens)) {
		plain(text.slice(from, m.index));
		from = m.index + m[0].length;
		if (m[1] || m[5])
			parent.append(mention(m[1] || m[5]));
		else if (m[2])
			parent.append(make("span", "mention", "#" + m[2]));
		else if (m[3] || m[4])
			parent.append(face(m[3] || m[4]));
		else if (m[6])
			parent.append(make("span", "mention", "@everyone"));
		else if (m[7])
			parent.append(command(m[7], m[8]));
		else if (m[9])
			parent.append(link(m[9]));
		else
			plain(m[0]);
	}
	plain(text.slice(from));
	return parent;
}

/* --- markdown ------------------------------------------------------------------ */

const marks = new RegExp([
	/`([^`\n]+)`/, /!\[([^\]\n]*)\]\(([^)\s]+)\)/,
	/\[([^\]\n]*)\]\(([^)\s]+)\)/, /<(https?:[^>\s]+)>/,
	/\*\*\*(?=\S)(.+?)\*\*\*/, /\*\*(?=\S)(.+?)\*\*/, /~~(?=\S)(.+?)~~/,
	/\*(?=[^\s*])([^*\n]+?)\*/, /(?<!\w)_(?=[^\s_])([^_\n]+?)_(?!\w)/,
].map((r) => r.source).join("|"));

function shown(alt, address) {
	const size = [...alt.matchAll(/#(\d+)px/g)].map((m) => Number(m[1]));

	return picture(address, alt.replace(/\s*#\d+px/g, "").trim(), size[0],
	    size[1]);
}

function addInline(parent, text, depth) {
	const wrap = (tag, inner) => parent.append(addInline(make(tag), inner,
	    depth + 1));
	const m = depth < DEPTH_MAX ? marks.exec(text) : null;

	if (!m)
		return addText(parent, text, false);
	addText(parent, text.slice(0, m.index), false);
	if (m[1] !== undefined)
		parent.append(make("code", "", m[1]));
	else if (m[3] !== undefined)
		parent.append(shown(m[2], m[3]));
	else if (m[5] !== undefined)
		parent.append(link(m[5], m[4]));
	else if (m[6] !== undefined)
		parent.append(link(m[6]));
	else if (m[7] !== undefined)
		parent.append(addInline(make("strong"), `*${m[7]}*`, depth + 1));
	else if (m[8] !== undefined)
		wrap("strong", m[8]);
	else if (m[9] !== undefined)
		wrap("s", m[9]);
	else
		wrap("em", m[10] ?? m[11]);
	return addInline(parent, text.slice(m.index + m[0].length), depth);
}

const item = /^(\s*)([-*+]|\d+[.)])\s+(.*)$/;

/* Lines from i that satisfy, without what `cut` takes off. */
function take(lines, i, satisfies, cut) {
	const found = [];

	while (i + found.length < lines.length &&
	    satisfies(lines[i + found.length]))
		found.push(cut(lines[i + found.length]));
	return found;
}

/* A list and the lists in it, by how far each line stands in. */
function addList(parent, lines, depth) {
	const [, blanks, mark] = item.exec(lines[0]);
	const list = make(/\d/.test(mark) ? "ol" : "ul");

	if (/\d/.test(mark))
		list.start = parseInt(mark, 10);
	for (let i = 0; i < lines.length;) {
		const li = make("li"), first = item.exec(lines[i]);
		const inner = take(lines, i + 1, (l) =>
		    item.exec(l)[1].length > blanks.length, (l) => l);

		addInline(li, first[3], 0);
		if (inner.length > 0 && depth < DEPTH_MAX)
			addList(li, inner, depth + 1);
		list.append(li);
		i += 1 + inner.length;
	}
	parent.append(list);
}

function addTable(parent, lines) {
	const table = make("table"), box = make("div", "wide");

	for (const [n, line] of lines.entries()) {
		const row = make("tr");

		if (n === 1 && /^[\s|:-]+$/.test(line))
			continue;
		for (const cell of line.trim().replace(/^\||\|$/g, "")
		    .split("|"))
			row.append(addInline(make(n === 0 ? "th" : "td"),
			    cell.trim(), 0));
		table.append(row);
	}
	box.append(table);
	parent.append(box);
}

function addParagraph(parent, lines) {
	const p = make("p");

	for (const [n, line] of lines.entries()) {
		if (n > 0)
			p.append(make("br"));
		addInline(p, line, 0);
	}
	parent.append(p);
}

const blank = (l) => l.replaceAll("\u200b", "").trim() === "";
const starts = (l) => blank(l) || item.test(l) ||
    /^(#{1,6}\s|>|```|\||(\*\s*){3,}$|(-\s*){3,}$)/.test(l);

/* One block that begins at line i; returns where the next one does. */
function addBlock(parent, lines, i, depth) {
	const line = lines[i];
	const heading = /^(#{1,6})\s+(.*)$/.exec(line);
	let found;

	if (blank(line))
		return i + 1;
	if (heading) {
		parent.append(addInline(make("h" + Math.min(6,
		    heading[1].length + 2)), heading[2], 0));
		return i + 1;
	}
	if (/^((\*\s*){3,}|(-\s*){3,})$/.test(line)) {
		parent.append(make("hr"));
		return i + 1;
	}
	if (/^```/.test(line)) {
		const pre = make("pre");

		found = take(lines, i + 1, (l) => !/^```/.test(l), (l) => l);
		pre.append(make("code", "", found.join("\n")));
		parent.append(pre);
		return i + found.length + 2;
	}
	if (/^>/.test(line) && depth < DEPTH_MAX) {
		const quote = make("blockquote");

		found = take(lines, i, (l) => /^>/.test(l),
		    (l) => l.replace(/^>\s?/, ""));
		addBlocks(quote, found, depth + 1);
		parent.append(quote);
	} else if (item.test(line)) {
		found = take(lines, i, (l) => item.test(l), (l) => l);
		addList(parent, found, 0);
	} else if (/^\|.*\|/.test(line)) {
		found = take(lines, i, (l) => /^\|/.test(l), (l) => l);
		addTable(parent, found);
	} else {
		found = [line, ...take(lines, i + 1, (l) => !starts(l),
		    (l) => l)];
		addParagraph(parent, found);
	}
	return i + found.length;
}

function addBlocks(parent, lines, depth) {
	for (let i = 0; i < lines.length;)
		i = addBlock(parent, lines, i, depth);
}

function markdown(text) {
	const box = make("div", "body markdown");

	addBlocks(box, text.split(/\r?\n/), 0);
	return box;
}

/* A template's words, which only the platform could lay out. */
function template(m) {
	const box = make("div", "card"), list = make("dl");

	box.append(make("strong", "", t("template") + " " +
	    (m.custom_template_id || m.template_id || "")));
	for (const p of m.params || [])
		list.append(make("dt", "", p.key), make("dd", "",
		    (p.values || []).join(", ")));
	box.append(list);
	return box;
}

/* --- cards ------------------------------------------------------------------------ */

function cardOf(title, lines, address, image) {
	const box = make("div", "card");

	if (image)
		box.append(picture(image, title));
	if (title)
		box.append(make("strong", "", title));
	for (const line of lines.filter(Boolean))
		box.append(make("p", "", line));
	if (address)
		box.append(link(address));
	return box;
}

function ark(a) {
	const kv = {};

	for (const e of a.kv || [])
		kv[e.key] = e.value ?? e.obj;
	if (a.template_id === 37)
		return cardOf(kv["#METATITLE#"], [kv["#METASUBTITLE#"]],
		    kv["#METAURL#"], kv["#METACOVER#"]);
	if (a.template_id === 24)
		return cardOf(kv["#TITLE#"], [kv["#METADESC#"],
		    kv["#SUBTITLE#"], kv["#DESC#"]], kv["#LINK#"],
		    kv["#IMG#"]);
	const box = cardOf(kv["#DESC#"] || kv["#PROMPT#"], []);
	const list = make("ul");

	for (const row of Array.isArray(kv["#LIST#"]) ? kv["#LIST#"] : []) {
		const of = {}, li = make("li");

		for (const e of row.obj_kv || [])
			of[e.key] = e.value;
		li.append(of.link ? link(of.link, of.desc)
		    : make("span", "", of.desc));
		list.append(li);
	}
	box.append(list);
	return box;
}

function embed(e) {
	return cardOf(e.title, (e.fields || []).map((f) => f.name), "",
	    e.thumbnail && e.thumbnail.url);
}

/* A card that a person has shared. */
function shared(a) {
	const f = a.fields || {};

	return cardOf(f.title || a.prompt, [f.desc], f.url || f.jumpUrl,
	    f.preview);
}

/* --- buttons ------------------------------------------------------------------------ */

/* How a button stands: what was pressed, and what became of it. */
function pressOf(m, id) {
	const press = m.presses && m.presses[id];

	if (!press)
		return "";
	const code = state.acks.get(press.interaction);

	return code === undefined ? press.late ? "unanswered" : "waiting"
	    : code === 0 ? "done" : "failed" + code;
}

function keyButton(m, b, grey) {
	const render = b.render_data || {}, action = b.action || {};
	const press = pressOf(m, b.id);
	const label = press && render.visited_label || render.label || b.id;
	let e;

	if (action.type === 0) {
		e = link(action.data || "", label);
	} else {
		e = make("button", "", label);
		e.type = "button";
		e.disabled = grey;
		e.addEventListener("click", () => pressed(m, b));
	}
	e.classList.add("key", "style-" + (Number(render.style) || 0));
	e.dataset.button = b.id;
	if (press) {
		const how = press.startsWith("failed") ? "failed" : press;

		e.dataset.press = how;
		e.append(make("span", "outcome", " " + (how === "failed"
		    ? "✗ " + (t("acks")[press.slice(6)] || press.slice(6))
		    : t("presses")[how])));
	}
	return e;
}

function keyboard(m, board, className) {
	const box = make("div", "keys " + (className || ""));
	const rows = board.content && board.content.rows || board.rows || [];
	const all = rows.flatMap((r) => r.buttons || []);
	const used = new Set(all.filter((b) => b.group_id && pressOf(m, b.id))
	    .map((b) => b.group_id));

	if (board.id)
		box.append(make("p", "", t("template") + " " + board.id));
	for (const row of rows) {
		const line = make("div", "row");

		for (const b of row.buttons || [])
			line.append(keyButton(m, b, used.has(b.group_id) &&
			    b.action && b.action.type === 1));
		box.append(line);
	}
	return box;
}

/* What is under the answer of a bot that has an action_button. */
function feedback(m) {
	const box = make("div", "keys"), row = make("div", "row");

	for (const [opt, label] of [["LIKE", "👍"], ["UNLIKE", "👎"]]) {
		const b = make("button", "key", label);

		b.type = "button";
		b.dataset.feedback = opt;
		b.setAttribute("aria-pressed", String(m.feedback === opt));
		b.setAttribute("aria-label", t(opt));
		b.addEventListener("click", () => giveFeedback(m, opt));
		row.append(b);
	}
	box.append(row);
	return box;
}

/* --- a whole message ------------------------------------------------------------------ */

/* The index by which a message is quoted in c2c and groups. */
function indexOf(id) {
	return "REFIDX_" + id.replace(/^ROBOT1\.0_/, "");
}

function quoteOf(m) {
	const of = m.who === "bot" ? m.body : m.d;
	const id = of && of.message_reference && of.message_reference.message_id;
	const element = of && of.message_type === 103 && of.msg_elements &&
	    of.msg_elements[0];
	const found = state.chats.find((o) => id ? o.id === id ||
	    indexOf(o.id) === id : element && indexOf(o.id) ===
	    element.msg_idx);

	if (!id && !element)
		return null;
	return make("blockquote", "quote", found
	    ? `${found.name || ""}: ${plainText(found)}`
	    : element ? element.content || "…" : id);
}

/* What a person says, without what the platform adds. */
function plainText(m) {
	if (m.who === "bot" || m.text !== undefined)
		return m.text || (m.media ? m.media.name : "");
	const content = m.d && typeof m.d.content === "string" ? m.d.content
	    : "";

	return m.conversation[0] === "c" || m.conversation[0] === "d"
	    ? unescaped(content.replace(/^<@!?\d+>\s*/, "")) : content.trim();
}

function contentOf(m) {
	const b = m.body || {}, guild = /^[cd]/.test(m.conversation);
	const parts = [];

	if (b.markdown)
		parts.push(b.markdown.content !== undefined
		    ? markdown(b.markdown.content) : template(b.markdown));
	if (b.content && b.content.trim())
		parts.push(addText(make("div", "body"), b.content, guild));
	if (m.media)
		parts.push(media(m.media.type, m.media.url, m.media.name));
	else if (b.media)
		parts.push(media("file", "", b.media.file_info));
	if (b.image)
		parts.push(media("image/", b.image, ""));
	if (b.ark)
		parts.push(ark(b.ark));
	if (b.embed)
		parts.push(embed(b.embed));
	if (b.keyboard)
		parts.push(keyboard(m, b.keyboard));
	if (b.prompt_keyboard && b.prompt_keyboard.keyboard)
		parts.push(keyboard(m, b.prompt_keyboard.keyboard, "chips"));
	if (b.action_button && b.action_button.feedback)
		parts.push(feedback(m));
	return parts;
}

function saidBy(m) {
	const parts = [], text = plainText(m), d = m.d || {};

	if (text)
		parts.push(make("div", "body", text));
	for (const a of Array.isArray(d.attachments) ? d.attachments : [])
		parts.push(media(a.content_type || "file", a.url, a.filename));
	if (d.ark_data)
		parts.push(shared(d.ark_data));
	return parts;
}
