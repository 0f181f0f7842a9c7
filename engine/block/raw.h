// Raw images: the file's bytes are the disk's.
// Promises: a size that is no multiple of 512 is rounded up, and what is behind the end of the file reads as zero; a
// raw image that nobody called one never gets a first sector that would make it look like an image of another format.
#pragma once

#include "engine/block/image.h"

namespace viv::block {

enum class NamedBy : u8 { user, content };  // content: it was taken for raw because nothing else fits
std::unique_ptr<Image> open_raw_image(std::unique_ptr<host::File> file, std::string name, Access access, NamedBy by);

}  // namespace viv::block
