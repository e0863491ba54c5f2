#include "gateway/cli/sheet.h"

const struct sheet_form sheet_forms[] = {{"pdf", sheet_pdf, true},    {"xlsx", sheet_xlsx, true},
                                         {"html", sheet_html, true},  {"csv", sheet_csv, false},
                                         {"json", sheet_json, false}, {NULL, NULL, false}};
