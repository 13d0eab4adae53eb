// The page AI Chat: /app/ai-chat, and /app/ai-chat/<name> for one AI Conversation. The chat itself is in frontend/.

frappe.pages["ai-chat"].on_page_load = function (wrapper) {
	const page = frappe.ui.make_app_page({
		parent: wrapper,
		title: __("AI Chat"),
		single_column: true,
	});
	wrapper.disable_scroll_to_top = true;
	$(wrapper).on("hide", () => wrapper.ai_chat?.hidden());
	load_bundle().then((assistant) => {
		if (!assistant) return;
		wrapper.ai_chat = assistant.openChat(page);
		if (frappe.get_route()[0] === "ai-chat") wrapper.ai_chat.shown();
	});
};

frappe.pages["ai-chat"].on_page_show = function (wrapper) {
	wrapper.ai_chat?.shown();
};

async function load_bundle() {
	if (!frappe.ai_assistant) await frappe.require("ai_assistant.bundle.js");
	if (frappe.ai_assistant) return frappe.ai_assistant;
	frappe.msgprint(
		__("The chat is not built on this bench. Run {0}, then reload this page.", [
			"<code>bench build --app ai_assistant</code>",
		])
	);
	return null;
}
