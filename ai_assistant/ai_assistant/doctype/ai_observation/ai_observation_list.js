frappe.listview_settings["AI Observation"] = {
	add_fields: ["status", "type"],
	hide_name_column: true,
	hide_name_filter: true,

	get_indicator(doc) {
		const colours = {
			running: "blue",
			completed: "green",
			failed: "red",
			cancelled: "gray",
			interrupted: "orange",
		};
		return [__(doc.status), colours[doc.status] || "gray", `status,=,${doc.status}`];
	},

	formatters: {
		duration_ms(value) {
			if (!value) return "";
			return value < 1000 ? `${value} ms` : `${(value / 1000).toFixed(1)} s`;
		},
	},
};
