frappe.ui.form.on("AI Model", {
	setup(frm) {
		frm.set_query("model", "fallbacks", () => ({
			filters: { enabled: 1, name: ["!=", frm.doc.name] },
		}));
	},

	refresh(frm) {
		show_provider_hint(frm);
		frm.set_intro("");
		if (frm.is_new()) {
			frm.set_intro(__("Save the model, then press Test to see that it answers."), "blue");
			return;
		}
		if (!frm.doc.enabled) {
			frm.set_intro(__("This model is disabled: nobody can choose it, and it cannot be tested."), "yellow");
		}
		frm.add_custom_button(__("Test"), () => test(frm));
	},

	model: show_provider_hint,
	wire: show_provider_hint,
	transport: show_provider_hint,
});

async function test(frm) {
	if (frm.is_new() || frm.is_dirty()) {
		frappe.msgprint({
			title: __("Save first"),
			indicator: "orange",
			message: __("The test uses the model as it is stored. Save your changes, then test."),
		});
		return;
	}
	if (!frm.doc.enabled) {
		frappe.msgprint(__("Enable the model and save it, then test."));
		return;
	}
	if (!frappe.ai_assistant) await frappe.require("ai_assistant.bundle.js");
	if (frappe.ai_assistant) show_test(frm);
	else {
		frappe.msgprint(
			__("The test is not built on this bench. Run {0}, then reload this page.", [
				"<code>bench build --app ai_assistant</code>",
			])
		);
	}
}

function show_test(frm) {
	const element = frappe.ai_assistant.modelTest(frm.doc.name);
	const dialog = new frappe.ui.Dialog({
		title: __("Test of {0}", [frappe.utils.escape_html(frm.doc.title || frm.doc.name)]),
		size: "large",
		primary_action_label: __("Test Again"),
		primary_action: () => element.run(),
		secondary_action_label: __("Close"),
		secondary_action: () => dialog.hide(),
		on_hide: () => {
			element.remove();
			dialog.$wrapper.remove();
		},
	});
	dialog.$body.append(element);
	dialog.show();
	element.run();
}

const OPENAI_LIKE = __(
	"An OpenAI-compatible server of your own (vLLM, LM Studio, llama.cpp …) is <code>openai/its-model-name</code> with its address as API Base, for example <code>http://127.0.0.1:8000/v1</code>."
);

/** What matters for which provider. The texts are ours and trusted; the provider's name is escaped. */
const HINTS = {
	openai: () =>
		__(
			"OpenAI: API Key is all it needs. Choose the wire <b>openai-responses</b> to see summaries of the model's reasoning; chat completions have none."
		) +
		"<br>" +
		OPENAI_LIKE,
	anthropic: () => __("Anthropic: API Key is all it needs. Thinking is shown."),
	ollama: () =>
		__(
			"Ollama: no key. API Base is the server's address as the worker's machine sees it; left empty, it is <code>http://127.0.0.1:11434</code>."
		),
	azure: () =>
		__(
			"Azure: API Base is the resource's address, API Key its key. The name behind <code>azure/</code> is that of the deployment. It is reached through LiteLLM."
		),
	bedrock: () =>
		__(
			"Amazon Bedrock: leave API Key empty. Credentials and region are read from the worker's environment (<code>AWS_ACCESS_KEY_ID</code> …). It is reached through LiteLLM."
		),
	vertex_ai: () =>
		__(
			"Vertex AI: leave API Key empty. Credentials and project are read from the worker's environment (<code>GOOGLE_APPLICATION_CREDENTIALS</code> …). It is reached through LiteLLM."
		),
	gemini: () => __("Gemini: API Key is all it needs. It is reached through LiteLLM."),
};
HINTS.ollama_chat = HINTS.ollama;
HINTS.vertex_ai_beta = HINTS.vertex_ai;

/** Says below the name of the model which of the other fields its provider wants. */
function show_provider_hint(frm) {
	const field = frm.get_field("provider_hint");
	const [provider, rest] = split_model(frm.doc.model || "");
	if (!provider) return field.$wrapper.empty();
	const hint = HINTS[provider] || (() => other_provider(provider));
	const missing = !rest && frm.doc.model.includes("/");
	const words = missing ? __("The model's name behind the slash is missing.") : hint();
	return field.html(`<p class="text-muted small" data-provider-hint>${words}</p>`);
}

/** `anthropic/claude` is of anthropic; a name without a provider is OpenAI's. */
function split_model(model) {
	const name = model.trim();
	const slash = name.indexOf("/");
	return slash < 0 ? [name && "openai", name] : [name.slice(0, slash), name.slice(slash + 1)];
}

function other_provider(provider) {
	const variable = `${provider.toUpperCase().replace(/\W/g, "_")}_API_KEY`;
	return __("{0}: give an API Key, or set {1} where the worker runs. API Base only where it is not the provider's own.", [
		`<b>${frappe.utils.escape_html(provider)}</b>`,
		`<code>${frappe.utils.escape_html(variable)}</code>`,
	]);
}
