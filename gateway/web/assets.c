#include "gateway/web/web_int.h"

#define ASSETS(X)                                                                                  \
    X("/", index_html, "text/html; charset=utf-8")                                                 \
    X("/app.js", app_js, "text/javascript; charset=utf-8")                                         \
    X("/app.css", app_css, "text/css; charset=utf-8")                                              \
    X("/vi.json", vi_json, "application/json")                                                     \
    X("/en.json", en_json, "application/json")                                                     \
    X("/icon.svg", icon_svg, "image/svg+xml")

#define DECLARE(path, name, type)                                                                  \
    extern const unsigned char web_ui_##name[];                                                    \
    extern const unsigned long web_ui_##name##_bytes;
ASSETS(DECLARE)

#define ROW(path, name, type) {path, type, web_ui_##name, &web_ui_##name##_bytes},
const struct web_asset web_assets[] = {ASSETS(ROW)};
const size_t web_assets_count = sizeof web_assets / sizeof *web_assets;
