"""How technologies can be recognized in a page: rules as data.

A rule recognizes its technology by the name of a global, the URL of a file, the generator tag, a
class or attribute that only this technology writes, or a custom element. No further request is
made for it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """How a technology shows itself. Patterns are regular expressions; a first group is the
    version.
    """

    name: str
    category: str
    globals: tuple[str, ...] = ()
    #: For the address of a script, a style sheet, or of a host that was asked.
    file: str = ""
    generator: str = ""
    #: For one class token; it takes several different ones, because one may be anybody's.
    classes: str = ""
    #: For the name of an attribute, such as ``ng-version``.
    attribute: str = ""
    #: For the name of a custom element.
    element: str = ""
    #: Where the page's own world keeps the version, as a path of names.
    version: str = ""


_V = r"(?:[@/.-]v?(\d+(?:\.\d+){1,2}))?"
_M = r"(?:[.-](?:min|slim|prod|production|umd|esm|global))*"


def _file(name: str) -> str:
    """The file of a library: its name as a path part, with or without a
    version, minified or not.
    """
    folders = r"(?:/(?:dist|build|lib|umd|js|css|esm|cdn)\b[\w./-]*)?"
    plain = rf"(?:^|/){name}{_V}{folders}{_M}\.(?:m?js|css)"
    return rf"{plain}|/npm/{name}{_V}(?:$|/)|/{name}/(\d+(?:\.\d+){{1,2}})/"


MARKS = (
    # Frameworks of the page itself.
    Mark("React", "framework", ("React",), _file(r"react(?:-dom)?"), attribute=r"data-reactroot",
         version="React.version"),
    Mark("Preact", "framework", ("preact",), _file("preact")),
    Mark("Vue", "framework", ("Vue", "__VUE__"), _file("vue"), attribute=r"data-v-[0-9a-f]{8}|v-cloak",
         version="Vue.version"),
    Mark("Angular", "framework", ("ng", "getAllAngularRootElements"),
         attribute=r"ng-version|_nghost-[\w-]+|_ngcontent-[\w-]+"),
    Mark("AngularJS", "framework", ("angular",), _file("angular"),
         attribute=r"ng-app|ng-controller|ng-repeat", version="angular.version.full"),
    Mark("Svelte", "framework", ("__svelte",), classes=r"svelte-[a-z0-9]{5,7}"),
    Mark("Solid", "framework", ("_$HY",), _file("solid-js"), attribute=r"data-hk"),
    Mark("Qwik", "framework", ("qwikevents",), r"/q-[\w-]{6,}\.js", attribute=r"q:container|q:version"),
    Mark("Lit", "framework", ("litElementVersions", "litHtmlVersions"), _file("lit(?:-element|-html)?")),
    Mark("Stencil", "framework", (), attribute=r"s-id|c-id", classes="hydrated"),
    Mark("Ember", "framework", ("Ember", "EmberENV"), _file("ember"), classes="ember-view|ember-application",
         version="Ember.VERSION"),
    Mark("Backbone", "framework", ("Backbone",), _file("backbone"), version="Backbone.VERSION"),
    Mark("Knockout", "framework", ("ko",), _file("knockout"), version="ko.version"),
    Mark("Alpine.js", "framework", ("Alpine",), _file("(?:alpinejs|alpine)"),
         attribute=r"x-data|x-show|x-cloak", version="Alpine.version"),
    Mark("htmx", "framework", ("htmx",), _file("htmx(?:\\.org)?"),
         attribute=r"hx-(?:get|post|target|swap|boost)", version="htmx.version"),
    Mark("Stimulus", "framework", ("Stimulus",), _file("stimulus"), attribute=r"data-controller"),
    Mark("Turbo", "framework", ("Turbo",), _file("turbo"), element=r"turbo-(?:frame|stream)"),
    Mark("Turbolinks", "framework", ("Turbolinks",), _file("turbolinks")),
    Mark("Livewire", "framework", ("Livewire",), r"/livewire/livewire", attribute=r"wire:(?:id|click|model)"),
    Mark("Unpoly", "framework", ("up",), _file("unpoly"), attribute=r"up-(?:target|follow|layer)",
         version="up.version"),
    Mark("Mithril", "framework", (), _file("mithril")),
    Mark("Riot", "framework", ("riot",), _file("riot")),
    Mark("Polymer", "framework", ("Polymer",), _file("polymer"), version="Polymer.version"),
    Mark("Dojo", "framework", ("dojo",), _file("dojo")),
    Mark("MooTools", "library", ("MooTools",), _file("mootools"), version="MooTools.version"),
    Mark("Prototype", "library", ("Prototype",), _file("prototype"), version="Prototype.Version"),
    # What renders pages on a server or ahead of time.
    Mark("Next.js", "site framework", ("__NEXT_DATA__", "__next_f"), r"/_next/static/",
         version="next.version"),
    Mark("Nuxt", "site framework", ("__NUXT__", "$nuxt"), r"/_nuxt/"),
    Mark("Gatsby", "site framework", ("___gatsby", "___loader"), generator=r"gatsby\s*([\d.]+)?"),
    Mark("Remix", "site framework", ("__remixContext", "__remixManifest")),
    Mark("React Router", "site framework", ("__reactRouterContext",)),
    Mark("SvelteKit", "site framework", ("__sveltekit",), r"/_app/immutable/",
         attribute=r"data-sveltekit-[\w-]+"),
    Mark("Astro", "site framework", (), r"/_astro/", r"astro(?:\s*v?([\d.]+))?",
         classes=r"astro-[a-z0-9]{8}", attribute=r"data-astro-cid-\w+", element="astro-island"),
    Mark("Docusaurus", "site generator", ("docusaurus",), generator=r"docusaurus\s*v?([\d.]+)?"),
    Mark("VitePress", "site generator", ("__VP_HASH_MAP__",), generator=r"vitepress\s*v?([\d.]+)?",
         classes=r"VP[A-Z]\w+"),
    Mark("VuePress", "site generator", ("__VUEPRESS_VERSION__",), generator=r"vuepress\s*([\d.]+)?"),
    Mark("Hugo", "site generator", generator=r"^hugo\s*([\d.]+)?"),
    Mark("Jekyll", "site generator", generator=r"jekyll\s*v?([\d.]+)?"),
    Mark("Eleventy", "site generator", generator=r"eleventy\s*v?([\d.]+)?"),
    Mark("Hexo", "site generator", generator=r"hexo\s*([\d.]+)?"),
    Mark("MkDocs", "site generator", generator=r"mkdocs-([\d.]+)",
         classes=r"md-(?:header|content|nav|main)(?:__\w+)?"),
    Mark("Sphinx", "site generator", ("DOCUMENTATION_OPTIONS",),
         r"/_static/(?:doctools|documentation_options|pygments|basic)",
         generator=r"sphinx|docutils\s*([\d.]+)?"),
    Mark("DocBook", "site generator", generator=r"docbook xsl stylesheets\s*V?([\d.]+)?"),
    Mark("Doxygen", "site generator", generator=r"doxygen\s*([\d.]+)?"),
    Mark("Javadoc", "site generator", generator=r"javadoc"),
    Mark("Pandoc", "site generator", generator=r"^pandoc"),
    Mark("Asciidoctor", "site generator", generator=r"asciidoctor\s*([\d.]+)?"),
    Mark("Vite", "build tool", ("__vite_is_modern_browser", "__vite_legacy_guard"), r"/@vite/client"),
    Mark("webpack", "build tool", ("webpackJsonp", "webpackChunk"), r"/webpack(?:-runtime)?[.-][\w.-]*js"),
    Mark("RequireJS", "build tool", ("requirejs",), _file("require(?:js)?"), version="requirejs.version"),
    Mark("SystemJS", "build tool", ("System",), _file("system(?:js)?")),
    # Content management and shops.
    Mark("WordPress", "cms", ("wp", "wpApiSettings"), r"/wp-(?:content|includes)/", r"wordpress\s*([\d.]+)?",
         classes=r"wp-(?:block|image|caption|custom)[\w-]*"),
    Mark("Elementor", "cms", ("elementorFrontend",), r"/plugins/elementor",
         generator=r"elementor\s*([\d.]+)?", classes=r"elementor-[\w-]+"),
    Mark("WooCommerce", "shop", ("woocommerce_params", "wc_add_to_cart_params"), r"/plugins/woocommerce",
         generator=r"woocommerce\s*([\d.]+)?", classes=r"woocommerce[\w-]*"),
    Mark("Drupal", "cms", ("Drupal", "drupalSettings"), r"/core/misc/drupal|/sites/(?:default|all)/",
         r"drupal\s*([\d.]+)?"),
    Mark("Joomla", "cms", ("Joomla",), r"/media/(?:system|jui)/js/", r"joomla"),
    Mark("TYPO3", "cms", ("TYPO3",), r"/typo3(?:conf|temp)/", r"typo3\s*(?:cms)?\s*([\d.]+)?"),
    Mark("Ghost", "cms", (), r"/ghost/|ghost-(?:portal|search)", r"ghost\s*([\d.]+)?"),
    Mark("Contao", "cms", generator=r"contao"),
    Mark("Craft CMS", "cms", ("Craft",), generator=r"craft cms"),
    Mark("Webflow", "cms", ("Webflow",), r"website-files\.com|webflow[\w.-]*\.js", r"webflow",
         attribute=r"data-wf-(?:page|site)"),
    Mark("Wix", "cms", ("wixBiSession", "wixPerformanceMeasurements"),
         r"static\.(?:parastorage|wixstatic)\.com", r"wix\.com"),
    Mark("Squarespace", "cms", ("Squarespace", "Static"), r"static1?\.squarespace\.com", r"squarespace"),
    Mark("Framer", "cms", ("__framer_importFromPackage",), r"framerusercontent\.com", r"framer\s*([\w.]+)?",
         attribute=r"data-framer-[\w-]+"),
    Mark("Notion", "cms", (), r"notion-static\.com", classes=r"notion-[\w-]+"),
    Mark("HubSpot", "cms", ("hbspt", "_hsq"), r"js\.hs-(?:scripts|analytics|banner)\.(?:com|net)|hubspot",
         r"hubspot"),
    Mark("Shopify", "shop", ("Shopify", "ShopifyAnalytics"), r"cdn\.shopify\.com|/cdn/shop/"),
    Mark("Magento", "shop", ("Mage", "checkoutConfig"), r"/static/(?:version\d+/)?frontend/|/mage/"),
    Mark("PrestaShop", "shop", ("prestashop",), generator=r"prestashop"),
    Mark("Shopware", "shop", (), r"/bundles/storefront/|shopware"),
    # How it looks.
    Mark("Bootstrap", "css", ("bootstrap",), _file(r"bootstrap(?:\.bundle)?"),
         version="bootstrap.Tooltip.VERSION"),
    Mark("Tailwind CSS", "css", ("tailwind",), r"cdn\.tailwindcss\.com(?:/([\d.]+))?|tailwind[\w.-]*\.css"),
    Mark("Bulma", "css", (), _file("bulma")),
    Mark("Foundation", "css", ("Foundation",), _file("foundation"), version="Foundation.version"),
    Mark("Materialize", "css", ("M",), _file("materialize"), version="M.version"),
    Mark("UIkit", "css", ("UIkit",), _file("uikit"), classes=r"uk-[\w@-]+", version="UIkit.version"),
    Mark("Semantic UI", "css", (), _file("(?:semantic|fomantic)(?:-ui)?")),
    Mark("Pico CSS", "css", (), _file("pico(?:\\.classless)?")),
    Mark("Pure.css", "css", (), _file("pure"), classes=r"pure-(?:g|u|menu|button|form)[\w-]*"),
    Mark("Skeleton", "css", (), _file("skeleton")),
    Mark("Material UI", "css", (), classes=r"Mui[A-Z]\w+-\w+"),
    Mark("Material Design for Angular", "css", (), classes=r"(?:mat|mdc)-[\w-]+"),
    Mark("Vuetify", "css", ("Vuetify",), _file("vuetify"),
         classes=r"v-(?:application|btn|card|toolbar|main|row|col)[\w-]*"),
    Mark("Quasar", "css", ("Quasar",), _file("quasar"), classes=r"q-(?:layout|page|btn|card|toolbar)[\w-]*"),
    Mark("Element Plus", "css", ("ElementPlus",), _file("element-plus"),
         classes=r"el-(?:button|row|col|menu|card|input)[\w-]*"),
    Mark("Ant Design", "css", ("antd",), _file("antd"), classes=r"ant-[\w-]+"),
    Mark("Chakra UI", "css", (), classes=r"chakra-[\w-]+"),
    Mark("Mantine", "css", (), classes=r"mantine-[\w-]+", attribute=r"data-mantine-color-scheme"),
    Mark("Radix UI", "css", (), attribute=r"data-radix-[\w-]+"),
    Mark("Headless UI", "css", (), attribute=r"data-headlessui-state"),
    Mark("Ionic", "css", ("Ionic",), element=r"ion-(?:app|content|header|button|card)"),
    Mark("Shoelace", "css", (), _file("shoelace"), element=r"sl-(?:button|card|dialog|icon|input)"),
    Mark("PatternFly", "css", (), _file("patternfly"), classes=r"pf-(?:v\d-)?[cul]-[\w-]+"),
    Mark("Carbon", "css", (), classes=r"(?:bx|cds)--[\w-]+"),
    Mark("styled-components", "css", ("__styled-components-init__",), classes=r"sc-[A-Za-z0-9]{5,}(?:-\d+)?",
         attribute=r"data-styled(?:-version)?"),
    Mark("Emotion", "css", (), classes=r"css-[a-z0-9]{5,8}(?:-\w+)?", attribute=r"data-emotion"),
    Mark("French State Design System", "css", ("dsfr",), _file("dsfr(?:\\.module)?"), classes=r"fr-[\w-]+"),
    Mark("AdminLTE", "css", ("adminlte",), _file("adminlte")),
    # What moves.
    Mark("GSAP", "motion", ("gsap", "TweenMax", "TweenLite"), _file("(?:gsap|TweenMax|TweenLite)"),
         version="gsap.version"),
    Mark("ScrollTrigger", "motion", ("ScrollTrigger",), _file("ScrollTrigger")),
    Mark("anime.js", "motion", ("anime",), _file("anime(?:js)?"), version="anime.version"),
    Mark("three.js", "motion", ("THREE", "__THREE__"), _file("three(?:\\.module)?"),
         version="THREE.REVISION"),
    Mark("PixiJS", "motion", ("PIXI",), _file("pixi(?:\\.js)?"), version="PIXI.VERSION"),
    Mark("Babylon.js", "motion", ("BABYLON",), _file("babylon")),
    Mark("p5.js", "motion", ("p5",), _file("p5")),
    Mark("Lottie", "motion", ("lottie", "bodymovin"), _file("(?:lottie(?:-web|_light)?|bodymovin)"),
         element=r"lottie-player|dotlottie-player", version="lottie.version"),
    Mark("Motion", "motion", ("Motion",), _file("(?:framer-motion|motion)"), attribute=r"data-projection-id"),
    Mark("AOS", "motion", ("AOS",), _file("aos"), attribute=r"data-aos"),
    Mark("ScrollReveal", "motion", ("ScrollReveal",), _file("scrollreveal"), attribute=r"data-sr-id"),
    Mark("WOW.js", "motion", ("WOW",), _file("wow")),
    Mark("animate.css", "motion", (), _file("animate"), classes=r"animate__\w+"),
    Mark("Lenis", "motion", ("Lenis",), _file("lenis"), classes=r"lenis(?:-\w+)?"),
    Mark("Locomotive Scroll", "motion", ("LocomotiveScroll",), _file("locomotive-scroll")),
    Mark("skrollr", "motion", ("skrollr",), _file("skrollr")),
    Mark("lax.js", "motion", ("lax",), _file("lax")),
    Mark("Rellax", "motion", ("Rellax",), _file("rellax")),
    Mark("particles.js", "motion", ("particlesJS", "pJSDom",
         "tsParticles"), _file("(?:particles|tsparticles)")),
    Mark("Velocity", "motion", ("Velocity",), _file("velocity")),
    Mark("Swiper", "motion", ("Swiper",), _file("swiper(?:-bundle)?"), classes=r"swiper(?:-[\w-]+)?",
         element=r"swiper-container"),
    Mark("Splide", "motion", ("Splide",), _file("splide"), classes=r"splide(?:__\w+)?"),
    Mark("Slick", "motion", (), _file("slick"), classes=r"slick-[\w-]+"),
    Mark("Owl Carousel", "motion", (), _file("owl\\.carousel"), classes=r"owl-[\w-]+"),
    Mark("Flickity", "motion", ("Flickity",), _file("flickity")),
    # Many sites have another script called reveal.js.
    Mark("reveal.js", "motion", ("Reveal",), r"/(?:npm/)?reveal\.js[@/]|/dist/reveal(?:\.esm)?\.js",
         version="Reveal.VERSION"),
    Mark("impress.js", "motion", ("impress",), _file("impress")),
    Mark("fullPage.js", "motion", ("fullpage_api",), _file("(?:jquery\\.)?fullpage")),
    # Charts, maps, text, odds and ends.
    Mark("jQuery", "library", ("jQuery",), _file("jquery"), version="jQuery.fn.jquery"),
    Mark("jQuery UI", "library", (), _file("jquery-ui"), version="jQuery.ui.version"),
    Mark("Lodash", "library", (), _file("lodash")),
    Mark("Moment", "library", ("moment",), _file("moment"), version="moment.version"),
    Mark("Axios", "library", ("axios",), _file("axios"), version="axios.VERSION"),
    Mark("Modernizr", "library", ("Modernizr",), _file("modernizr")),
    Mark("core-js", "library", ("__core-js_shared__",), _file("core-js")),
    Mark("Socket.IO", "library", ("io",), _file("socket\\.io")),
    Mark("D3", "library", ("d3",), _file("d3(?:\\.v\\d)?"), version="d3.version"),
    Mark("Chart.js", "library", ("Chart",), _file("chart(?:\\.js|js)?"), version="Chart.version"),
    Mark("ECharts", "library", ("echarts",), _file("echarts"), attribute="_echarts_instance_",
         version="echarts.version"),
    Mark("Highcharts", "library", ("Highcharts",), _file("highcharts"), version="Highcharts.version"),
    Mark("Plotly", "library", ("Plotly",), _file("plotly"), version="Plotly.version"),
    Mark("Leaflet", "library", ("L",), _file("leaflet"), classes=r"leaflet-[\w-]+", version="L.version"),
    Mark("Mapbox GL", "library", ("mapboxgl",), _file("mapbox-gl"), version="mapboxgl.version"),
    Mark("Google Maps", "library", (), r"maps\.google(?:apis)?\.com"),
    Mark("DataTables", "library", ("DataTable",), _file("(?:jquery\\.)?datatables"),
         classes=r"dataTable\w*|dt-[\w-]+"),
    Mark("Prism", "library", ("Prism",), _file("prism"), classes=r"language-\w+"),
    Mark("highlight.js", "library", ("hljs",), _file("highlight"), classes=r"hljs(?:-\w+)?"),
    Mark("MathJax", "library", ("MathJax",), _file("mathjax"), element=r"mjx-container",
         version="MathJax.version"),
    Mark("KaTeX", "library", ("katex",), _file("katex"), version="katex.version"),
    Mark("Mermaid", "library", ("mermaid",), _file("mermaid")),
    Mark("Font Awesome", "fonts", ("FontAwesome",),
         r"font-?awesome(?:\.com/releases)?(?:[@/]v?(\d[\d.]*))?", classes=r"fa-(?!fw$)[\w-]+"),
    Mark("Bootstrap Icons", "fonts", (), r"bootstrap-icons(?:@(\d[\d.]*))?", classes=r"bi-[\w-]+"),
    Mark("Google Fonts", "fonts", (), r"fonts\.(?:googleapis|gstatic)\.com"),
    Mark("Adobe Fonts", "fonts", ("Typekit",), r"use\.typekit\.net"),
    Mark("Video.js", "media", ("videojs",), _file("video"), classes=r"vjs-[\w-]+", version="videojs.VERSION"),
    Mark("Plyr", "media", ("Plyr",), _file("plyr"), classes=r"plyr(?:__\w+)?"),
    Mark("YouTube", "media", ("YT",), r"youtube(?:-nocookie)?\.com|ytimg\.com"),
    Mark("Vimeo", "media", ("Vimeo",), r"player\.vimeo\.com"),
    # Analytics, delivery and third-party services.
    Mark("Google Analytics", "analytics", ("gtag", "ga", "GoogleAnalyticsObject"),
         r"google-analytics\.com|googletagmanager\.com/gtag"),
    Mark("Google Tag Manager", "analytics", ("google_tag_manager",), r"googletagmanager\.com/gtm"),
    Mark("Matomo", "analytics", ("Matomo", "Piwik", "_paq"), r"/(?:matomo|piwik)\.(?:js|php)"),
    Mark("Plausible", "analytics", ("plausible",), r"plausible\.io"),
    Mark("Fathom", "analytics", ("fathom",), r"cdn\.usefathom\.com"),
    Mark("Umami", "analytics", ("umami",), r"umami[\w.]*/|/umami\.js"),
    Mark("PostHog", "analytics", ("posthog",), r"posthog\.com"),
    Mark("Segment", "analytics", (), r"cdn\.segment\.com"),
    Mark("Hotjar", "analytics", ("hj",), r"static\.hotjar\.com"),
    Mark("Microsoft Clarity", "analytics", ("clarity",), r"clarity\.ms"),
    Mark("Meta Pixel", "analytics", ("fbq",), r"connect\.facebook\.net"),
    Mark("LinkedIn Insight", "analytics", ("_linkedin_partner_id",), r"snap\.licdn\.com"),
    Mark("Sentry", "monitoring", ("Sentry", "__SENTRY__"),
         r"browser\.sentry-cdn\.com(?:/(\d[\d.]*))?|sentry\.io"),
    Mark("Datadog", "monitoring", ("DD_RUM",), r"datadoghq"),
    Mark("New Relic", "monitoring", ("NREUM", "newrelic"), r"nr-data\.net|newrelic"),
    Mark("Cloudflare", "delivery", ("__CF$cv$params",),
         r"/cdn-cgi/|cdnjs\.cloudflare\.com|cloudflareinsights\.com"),
    Mark("jsDelivr", "delivery", (), r"cdn\.jsdelivr\.net"),
    Mark("unpkg", "delivery", (), r"(?:^|//)unpkg\.com"),
    Mark("reCAPTCHA", "protection", ("grecaptcha",), r"google\.com/recaptcha|gstatic\.com/recaptcha"),
    Mark("hCaptcha", "protection", ("hcaptcha",), r"hcaptcha\.com"),
    Mark("Turnstile", "protection", ("turnstile",), r"challenges\.cloudflare\.com"),
    Mark("OneTrust", "consent", ("OneTrust", "Optanon"), r"cookielaw\.org|onetrust"),
    Mark("Cookiebot", "consent", ("Cookiebot", "CookieConsent"), r"consent\.cookiebot\.com"),
    Mark("Usercentrics", "consent", ("UC_UI",), r"usercentrics"),
    Mark("Intercom", "chat", ("Intercom",), r"widget\.intercom\.io"),
    Mark("Zendesk", "chat", ("zE",), r"zdassets\.com"),
    Mark("Crisp", "chat", ("$crisp",), r"client\.crisp\.chat"),
    Mark("Stripe", "payment", ("Stripe",), r"js\.stripe\.com"),
    Mark("PayPal", "payment", ("paypal",), r"paypal\.com/sdk|paypalobjects\.com"),
)  # fmt: skip

#: Names to look for in the page's own world.
GLOBAL_NAMES = tuple(dict.fromkeys(name for mark in MARKS for name in mark.globals))
#: Names that a script may use for anything: they prove nothing alone.
WEAK_GLOBALS = frozenset(
    {"M", "L", "up", "io", "ko", "ga", "hj", "ng", "wp", "YT", "zE", "System", "Static", "Motion", "Chart",
     "Prototype", "Velocity", "clarity", "anime", "lax", "Craft", "fathom", "DataTable", "Polymer"}
)  # fmt: skip
VERSION_PATHS = {mark.name: mark.version for mark in MARKS if mark.version}
