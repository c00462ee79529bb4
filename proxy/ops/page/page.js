"use strict";
(() => {
	const every = 5000, slowest = 30000, patience = 10000;
	const byId = (id) => document.getElementById(id);
	const sentence = byId("sentence"), place = byId("refresh");
	const button = document.createElement("button"), note = document.createElement("span");
	let timer = 0, wait = every, paused = false, asking = false;

	button.type = "button";
	note.className = "muted";
	place.replaceChildren(button, note);

	function show() {
		button.textContent = paused ? "Resume" : "Pause";
		button.setAttribute("aria-label", paused ? "Resume refreshing this page" : "Pause refreshing this page");
		note.textContent = paused ? "not refreshed" : "refreshed every 5 seconds";
	}

	function schedule() {
		clearTimeout(timer);
		timer = 0;
		if (!paused && !document.hidden) timer = setTimeout(refresh, wait);
	}

	// A reader who selects text to copy it must not lose it.
	function selecting() {
		const s = getSelection();
		return s && !s.isCollapsed && document.querySelector("main").contains(s.anchorNode);
	}

	function lost(why) {
		wait = Math.min(wait * 2, slowest);
		const since = byId("asof").textContent;
		const text = `polyclamd does not answer (${why}). What this page shows is as of ${since}.`;
		if (sentence.classList.contains("lost") && sentence.dataset.why === why) return;
		const strong = document.createElement("strong");
		strong.textContent = "lost";
		sentence.className = "sentence lost";
		sentence.dataset.why = why;
		sentence.replaceChildren(strong, text);
	}

	// update replaces the parts that have changed. The rest keeps its focus and place.
	function update(fresh) {
		const parts = [...document.querySelectorAll("[data-part]")];
		const script = (d) => d.querySelector("script")?.textContent;
		if (!fresh.getElementById("sentence")) return lost("another page came instead");
		if (script(fresh) !== script(document) || parts.length !== fresh.querySelectorAll("[data-part]").length) return location.reload();
		for (const part of parts) {
			const next = fresh.getElementById(part.id);
			if (!next || next.innerHTML === part.innerHTML && next.className === part.className) continue;
			part.className = next.className;
			part.replaceChildren(...next.childNodes);
		}
		document.title = fresh.title;
		byId("icon").href = fresh.getElementById("icon").href;
		delete sentence.dataset.why;
		wait = every;
	}

	async function refresh() {
		if (asking || selecting()) return schedule();
		asking = true;
		try {
			const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(patience) });
			const text = await answer.text();
			if (!answer.ok) lost(`HTTP status ${answer.status}`);
			else if (!selecting()) update(new DOMParser().parseFromString(text, "text/html"));
		} catch (e) {
			lost(e.name === "TimeoutError" ? "no answer within 10 seconds" : "no connection");
		} finally {
			asking = false;
			schedule();
		}
	}

	button.addEventListener("click", () => {
		paused = !paused;
		show();
		if (paused) schedule(); else refresh();
	});
	document.addEventListener("visibilitychange", () => {
		if (document.hidden || paused) schedule(); else refresh();
	});
	show();
	schedule();
})();
