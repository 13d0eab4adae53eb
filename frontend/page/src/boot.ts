/** What the host wrote into the page. */

export interface Boot {
  csrf_token: string | null;
  /** The site's name, which is the Socket.IO namespace. */
  site: string;
  user: string;
  full_name: string;
  version: string;
  /** True where no real model is configured and the built-in demonstration answers. */
  demo: boolean;
}

const DEFAULTS: Boot = {
  csrf_token: null,
  site: "assistant.localhost",
  user: "Guest",
  full_name: "",
  version: "",
  demo: false,
};

/** Reads the JSON block `#boot`. A page served without one belongs to a guest. */
export function readBoot(): Boot {
  const text = document.getElementById("boot")?.textContent;
  if (!text) return DEFAULTS;
  return { ...DEFAULTS, ...(JSON.parse(text) as Partial<Boot>) };
}
